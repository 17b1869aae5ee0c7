package vskd

import kotlin.math.abs
import kotlin.math.min

/** Time, s since the stream's first sample, and acceleration, g. */
internal class Sample(val timeS: Double, val x: Double, val y: Double, val z: Double)

/** A sample in order; [starts] where it begins a segment. */
internal class Ready(val starts: Boolean, val sample: Sample)

/** The sensor's order of samples out of that of their arrival. The rule is described in `vskd/stream/order.py`. */
internal class Order(private val rules: Rules, private val health: Health) {
    private val maxGapS = rules.maxGapS
    private val reorderS = rules.reorderS
    var lastS = Double.NEGATIVE_INFINITY
    var periodS = Double.POSITIVE_INFINITY
        private set
    private var promptS = 0.0
    private var opens = false
    private var inPackets = false
    private val pending = ArrayDeque<Sample>()
    private val strays = ArrayDeque<Sample>()

    val newestS: Double get() = if (pending.isEmpty()) lastS else pending.last().timeS

    fun take(sample: Sample): List<Ready> {
        val ready = ArrayList<Ready>(1)
        val atS = sample.timeS
        if (-maxGapS <= atS - oldestS() && atS - newestS <= maxGapS) {
            dropStrays()
            insert(sample)
        } else {
            val near = strays.indexOfFirst { abs(atS - it.timeS) <= maxGapS }
            if (near >= 0) {
                val stray = strays.removeAt(near)
                startAnew(ready, stray, sample)
            } else if (strays.isNotEmpty() && newestS < strays.last().timeS && strays.last().timeS < atS) {
                val stray = strays.removeLast() // a pause, and another one
                startAnew(ready, stray)
                strays.addLast(sample)
            } else {
                strays.addLast(sample)
                if (strays.size > rules.strays) {
                    strays.removeFirst()
                    health.wild++
                }
            }
        }
        settle(ready, isFinal = false)
        return ready
    }

    /** There is no further sample; gives what was held. */
    fun finish(): List<Ready> {
        val ready = ArrayList<Ready>()
        settle(ready, isFinal = true)
        dropStrays()
        return ready
    }

    /** What the sensor's period, s, has been of late; packets keep the one that their opening showed. */
    fun measure(periodS: Double) {
        val ratio = periodS / this.periodS
        if (!inPackets && !(rules.room <= ratio && ratio <= 1 / rules.room)) {
            this.periodS = periodS
            promptS = min(rules.prompt * periodS, maxGapS)
        }
    }

    private fun oldestS(): Double = when {
        opens -> pending.first().timeS
        lastS > Double.NEGATIVE_INFINITY -> lastS
        else -> Double.POSITIVE_INFINITY
    }

    private fun dropStrays() {
        health.wild += strays.size
        strays.clear()
    }

    private fun startAnew(ready: MutableList<Ready>, vararg samples: Sample) {
        settle(ready, isFinal = true)
        dropStrays()
        opens = true
        for (sample in samples) insert(sample)
    }

    private fun insert(sample: Sample) {
        if (!opens && sample.timeS < lastS) {
            health.outOfOrder++
            return
        }
        if (pending.isNotEmpty() && sample.timeS < pending.last().timeS) health.reordered++
        pending.add(countUpTo(sample.timeS), sample)
    }

    /** How many of the samples held are of this time or older. */
    private fun countUpTo(timeS: Double): Int {
        var count = pending.size
        while (count > 0 && pending[count - 1].timeS > timeS) count--
        return count
    }

    private fun settle(ready: MutableList<Ready>, isFinal: Boolean) {
        if (opens) {
            val spansS = pending.last().timeS - pending.first().timeS
            val isEnough = pending.size >= rules.opening && spansS > 0 && spansS >= reorderS
            if (!(isEnough || isFinal || pending.size >= rules.longest)) return
            judgeOpening()
            ready.add(Ready(true, next()))
        }
        while (pending.isNotEmpty()) {
            val atS = pending.first().timeS
            val size = countUpTo(atS)
            val isWhole = size < pending.size || isFinal
            val shares = atS == lastS
            if (isWhole && size + (if (shares) 1 else 0) > 1) {
                spread(size, shares, if (size < pending.size) pending[size].timeS else Double.POSITIVE_INFINITY)
                continue
            }
            val waits = atS - lastS > promptS && pending.last().timeS - atS < reorderS
            if (!isFinal && (shares || waits) && pending.size < rules.longest) return
            ready.add(Ready(false, next()))
        }
    }

    private fun next(): Sample {
        val sample = pending.removeFirst()
        lastS = sample.timeS
        return sample
    }

    /** The period, and whether samples come in packets, from the samples that open the segment. */
    private fun judgeOpening() {
        opens = false
        var different = 0
        for (later in 1 until pending.size) {
            val a = pending[later - 1]
            val b = pending[later]
            if (a.timeS == b.timeS && !(a.x == b.x && a.y == b.y && a.z == b.z)) different++
        }
        inPackets = different > 0 && 3 * different >= pending.size - 1
        // The last packet may not be whole: what came before it took the time up to it.
        val newest = pending.last().timeS
        val whole = pending.indexOfFirst { it.timeS >= newest }
        periodS = if (inPackets && whole > 0) (newest - pending.first().timeS) / whole else usualStep()
        promptS = min(rules.prompt * periodS, maxGapS)
    }

    /** The mean of the steps between different times, without those over missing samples. */
    private fun usualStep(): Double {
        val steps = pending.zipWithNext { a, b -> b.timeS - a.timeS }.filterIndexed { index, _ ->
            pending[index + 1].timeS > pending[index].timeS
        }.sorted()
        if (steps.isEmpty()) return Double.POSITIVE_INFINITY
        val usual = steps.filter { it <= rules.prompt * steps[steps.size / 2] }
        return if (usual.isEmpty()) Double.POSITIVE_INFINITY else usual.sum() / usual.size
    }

    /** Gives the [size] samples that share the first time held times of their own, or drops all but one. */
    private fun spread(size: Int, shares: Boolean, nextS: Double) {
        val atS = pending.first().timeS
        var times = times(size, shares, nextS)
        // Between two times that are neighbours as numbers there is no room, however few the samples are.
        val all = (if (shares) listOf(atS) else listOf()) + times + nextS
        if (!all.zipWithNext().all { (a, b) -> a < b }) times = listOf()
        if (times.isEmpty()) {
            val kept = if (shares) 0 else 1
            repeat(size - kept) {
                pending.removeAt(kept)
                health.outOfOrder++
            }
        }
        for ((index, timeS) in times.withIndex()) {
            if (timeS != atS) health.spread++
            pending[index] = with(pending[index]) { Sample(timeS, x, y, z) }
        }
    }

    private fun times(size: Int, shares: Boolean, nextS: Double): List<Double> {
        val atS = pending.first().timeS
        val more = if (shares) 1 else 0
        val count = size + more
        val fitsS = (if (nextS.isFinite()) rules.room else Double.POSITIVE_INFINITY) * count * periodS
        val roomS = nextS - atS
        if (periodS < Double.POSITIVE_INFINITY && (inPackets || roomS > fitsS)) {
            val stepS = if (roomS > rules.prompt * count * periodS) periodS else roomS / count
            return (more until count).map { atS + it * stepS }
        }
        if (!shares && atS - lastS >= rules.room * count * periodS) {
            val stepS = (atS - lastS) / count
            return (1 until count).map { lastS + it * stepS } + atS
        }
        return listOf()
    }
}
