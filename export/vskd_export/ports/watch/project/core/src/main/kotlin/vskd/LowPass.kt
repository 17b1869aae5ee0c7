package vskd

import kotlin.math.abs
import kotlin.math.ceil

/** Regular samples out of the irregular ones of a sensor that is well faster than the contract; see `low_pass.py`. */
internal class LowPass(rules: Rules) {
    val halfPeriods = rules.halfPeriods
    val halfS = rules.halfS
    var isBegun = false
        private set
    private val rateHz = rules.rateHz
    private val periodS = rules.periodS
    private val scale = rules.tapsPerS
    private val end = (rules.taps.size - 1).toDouble()
    private val taps = rules.taps
    private val rises = DoubleArray(taps.size - 1) { taps[it + 1] - taps[it] }
    private val open = ArrayDeque<Mean>()
    private var last = Sample(0.0, 0.0, 0.0, 0.0)
    private var beforeS = 0.0
    private var anchorS = 0.0
    private var nextIndex = 0L

    /** A regular sample that is not complete: sum of weights, and the weighted readings. */
    private class Mean(val timeS: Double) {
        var weights = 0.0
        var x = 0.0
        var y = 0.0
        var z = 0.0

        fun sample() = Sample(timeS, x / weights, y / weights, z / weights)
    }

    /** Begin with a sample; [index] of the first regular sample wanted, counted from [anchorS]. */
    fun begin(sample: Sample, anchorS: Double, index: Long) {
        isBegun = true
        open.clear()
        last = sample
        beforeS = sample.timeS
        this.anchorS = anchorS
        nextIndex = index
    }

    /** Take the next sample of the sensor; gives the regular ones that are complete with it. */
    fun take(sample: Sample): List<Sample> {
        val before = last
        // Where samples are missing the line between their neighbours stands for them.
        val pieces = ceil((sample.timeS - before.timeS) / periodS).toInt()
        for (piece in 1 until pieces) {
            val part = piece.toDouble() / pieces
            add(
                Sample(
                    before.timeS + (sample.timeS - before.timeS) * part,
                    before.x + (sample.x - before.x) * part,
                    before.y + (sample.y - before.y) * part,
                    before.z + (sample.z - before.z) * part,
                ),
            )
        }
        add(sample)
        if (open.isEmpty() || open.first().timeS + halfS > sample.timeS) return listOf()
        val complete = ArrayList<Sample>()
        while (open.isNotEmpty() && open.first().timeS + halfS <= sample.timeS) complete.add(open.removeFirst().sample())
        return complete
    }

    /** End here: the regular samples up to now, of what of the filter is there. */
    fun flush(): List<Sample> {
        isBegun = false
        weigh(last.timeS)
        val now = open.filter { it.timeS <= last.timeS }.map { it.sample() }
        open.clear()
        return now
    }

    private fun add(sample: Sample) {
        while (true) {
            val dueS = anchorS + nextIndex / rateHz
            if (!(dueS - halfS < sample.timeS)) break
            open.addLast(Mean(dueS))
            nextIndex++
        }
        weigh(sample.timeS)
        beforeS = last.timeS
        last = sample
    }

    /** Add the last sample, which stands for half of the time from the one before to the one after. */
    private fun weigh(afterS: Double) {
        val shareS = (afterS - beforeS) / 2
        for (index in 0 until open.size) {
            val one = open[index]
            val place = abs(last.timeS - one.timeS) * scale
            if (place < end) {
                val tap = place.toInt()
                val weight = (taps[tap] + (place - tap) * rises[tap]) * shareS
                one.weights += weight
                one.x += weight * last.x
                one.y += weight * last.y
                one.z += weight * last.z
            }
        }
    }
}
