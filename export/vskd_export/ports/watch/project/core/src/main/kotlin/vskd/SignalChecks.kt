package vskd

import kotlin.math.abs
import kotlin.math.max
import kotlin.math.sqrt

/** The slow part of a stretch: its mean reading, g, and the mean of |a|^2, g^2; see `signal_checks.py`. */
internal class SlowPart(val x: Double, val y: Double, val z: Double, val square: Double) {
    val lengthG: Double get() = length(x, y, z)
    val rmsG: Double get() = sqrt(square)

    /** Length of the mean reading, squared. */
    val lengthSquare: Double get() = x * x + y * y + z * z

    fun isCalm(rules: Rules): Boolean = square - lengthSquare <= rules.calmShareSquare * max(lengthSquare, 1.0)

    companion object {
        fun of(samples: Array<FloatArray>): SlowPart {
            val mean = DoubleArray(3)
            var square = 0.0
            for (axis in 0..2) {
                for (value in samples[axis]) {
                    mean[axis] += value.toDouble()
                    square += value.toDouble() * value.toDouble()
                }
            }
            val count = samples[0].size
            return SlowPart(mean[0] / count, mean[1] / count, mean[2] / count, square / count)
        }
    }
}

/** Longest stretch in which no axis changes, as a share of the window. */
internal fun heldShare(samples: Array<FloatArray>): Double =
    longestRun(samples[0].size) { at -> samples.all { it[at] == it[at - 1] } }

/** Longest stretch in which every axis reads 0, as a share of the window. */
internal fun zeroShare(samples: Array<FloatArray>): Double =
    longestRun(samples[0].size) { at -> samples.all { it[at] == 0f && it[at - 1] == 0f } }

/** Samples of the longest run of steps between neighbours, as a share of [size]. */
private fun longestRun(size: Int, isOfRun: (Int) -> Boolean): Double {
    var longest = 0
    var run = 0
    for (at in 1 until size) {
        run = if (isOfRun(at)) run + 1 else 0
        longest = max(longest, run)
    }
    return if (longest > 0) (longest + 1).toDouble() / size else 0.0
}

/** Whether two axes read the same throughout, and change. */
internal fun hasEqualAxes(samples: Array<FloatArray>): Boolean {
    val moving = samples.filter { row -> row.any { it != row[0] } }
    return moving.indices.any { one ->
        (one + 1 until moving.size).any { other -> moving[one].indices.all { moving[one][it] == moving[other][it] } }
    }
}

/** Share of the samples that stay at an end of the readings, and the largest reading, g. */
internal fun cutOff(rules: Rules, samples: Array<FloatArray>, knownG: Double): Pair<Double, Double> {
    val largestG = samples.maxOf { row -> row.maxOf { abs(it) } }.toDouble()
    val size = samples[0].size
    val stays = BooleanArray(size)
    var reached = 0
    for (sign in intArrayOf(1, -1)) {
        for (row in samples) {
            // A calibrated sensor's axes end at different readings, but all near the largest.
            val end = max(row.maxOf { sign * it }.toDouble(), rules.nearTheLargest * largestG).toFloat()
            var run = 0
            var isReached = false
            for (at in 0 until size) {
                run = if (sign * row[at] == end) run + 1 else 0
                if (run < rules.inARow) continue
                isReached = true
                for (back in 0 until rules.inARow) stays[at - back] = true
            }
            if (isReached) reached++
        }
    }
    val isEnd = largestG > rules.cutOffAboveG || reached > 1 || largestG == knownG
    return Pair(if (isEnd) stays.count { it }.toDouble() / size else 0.0, largestG)
}

/** Whether a stretch of seconds cannot be in g with gravity, or without it. */
internal fun hasGravityProblem(rules: Rules, slow: SlowPart): Boolean {
    val square = slow.square
    val length = slow.lengthSquare // squared, as every quantity here
    if (!rules.hasGravity) {
        val isSteady = length >= rules.gravityLowSquare && square - length <= rules.steadyShareSquare * length
        return isSteady || (slow.isCalm(rules) && length > rules.noGravitySquare)
    }
    return square < rules.gravityLowSquare ||
        (length > rules.gravityHighSquare && slow.isCalm(rules)) ||
        length < rules.leastShareSquare * square
}

/** Whether samples are refused, whose median |a| is [medianG], and [read] in their unit. */
internal fun isWrongUnit(rules: Rules, medianG: Double, read: Double): Boolean {
    if (medianG in rules.plausibleLowG..rules.plausibleHighG) return false
    return !(rules.isJudged && medianG < rules.plausibleLowG && !(read >= rules.plausibleLowG))
}
