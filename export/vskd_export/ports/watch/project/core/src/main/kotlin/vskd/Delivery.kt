package vskd

import kotlin.math.max

/** How far the samples that have arrived reach ahead of the wall's clock; see `vskd/stream/delivery.py`. */
internal class Delivery(private val rules: Rules) {
    private var lastS: Double? = null
    private var arrivedS = 0.0
    private var aheadS = 0.0

    /** For how long, by the wall's clock, what was in hand when the latest sample arrived may last, s. */
    val inHandS: Double get() = aheadS * rules.usedUp

    /** Samples have arrived; the stream's first sample and its latest are of these times, s; [nowS] is the wall's. */
    fun arrived(firstS: Double, lastS: Double, nowS: Double) {
        if (lastS == this.lastS) return
        val before = this.lastS ?: firstS.also { arrivedS = nowS }
        val madeS = max(0.0, lastS - before) // a clock that was set back has made none
        aheadS = (aheadS + (madeS - rules.usedUp * (nowS - arrivedS))).coerceIn(0.0, rules.batchS)
        this.lastS = lastS
        arrivedS = nowS
    }
}
