package vskd

import kotlin.math.max
import kotlin.math.min

/** Finds the defects of one window after another; the rules are described in `vskd/stream/judge.py`. */
internal class Judge(private val rules: Rules) {
    private var slow: SlowPart? = null
    private var sinceS = 0.0
    private var isWrongAtRest = false
    private var isTooShort = false
    private var untilNext = 0
    private var summed = 0
    private var sum = SlowPart(0.0, 0.0, 0.0, 0.0)
    private var isTurned = false
    private var looksAbove = true
    private var cutAtG = 0.0
    private var isShort = true // no ``DIRECTION_S`` of mean readings so far

    fun judge(samples: Array<FloatArray>, startS: Double, endS: Double, afterGap: Boolean, health: Health): List<Defect> {
        val slow = SlowPart.of(samples)
        // Some columns tell of most windows that no axis rests, and that no two are equal.
        val (xs, ys, zs) = samples.map { row -> FloatArray(rules.columns) { row[it * rules.columnsStep] } }
        val middle = rules.columnsMiddle
        val mayRest = xs[middle + 1] == xs[middle] || xs[middle + 1] == xs[middle + 2] ||
            xs[middle + 2] == xs[middle + 3] || xs.any { it == 0f }
        silent(samples, slow, mayRest)?.let {
            this.slow = null
            sinceS = endS
            return listOf(Defect(it, NO_SIGNAL))
        }
        val columns = listOf(xs, ys, zs)
        val flat = if (columns.any { it.first() == it.last() }) health.countFlat(samples) else listOf()
        val defects = ArrayList<Defect>()
        if (same(xs, ys) || same(xs, zs) || same(ys, zs)) {
            if (hasEqualAxes(samples)) defects += Defect(Defect.Kind.EQUAL_AXES, UNKNOWN)
        }
        if (health.recentSaturated > 0) {
            defects += Defect(Defect.Kind.SATURATED, unknownAbove(health.recentSaturated, rules.saturatedShare))
        } else {
            // Where readings are cut off, some of the columns end alike: above, or below, looked at in turns.
            val alike = columns.sumOf { row ->
                val end = if (looksAbove) row.max() else row.min()
                row.count { it == end }
            }
            looksAbove = !looksAbove
            if ((alike > 3 || cutAtG > 0) && !slow.isCalm(rules)) cutOff(samples, health)?.let { defects += it }
        }
        health.recentRateHz?.let { if (!(rules.slowestHz <= it && it <= rules.fastestHz)) rate(it)?.let { found -> defects += found } }
        if (isWrongGravity(slow, startS, endS, afterGap)) defects += Defect(Defect.Kind.GRAVITY, UNKNOWN)
        for (axis in flat) defects += Defect(Defect.Kind.entries[Defect.Kind.DEAD_X.ordinal + axis])
        if (--untilNext <= 0) {
            untilNext = rules.overlapping
            add(slow)
        }
        if (isTurned) defects += Defect(Defect.Kind.DIRECTION)
        return defects
    }

    /** At the end of a stream shorter than ``DIRECTION_S``: whether two windows or more say that gravity is turned. */
    fun isTurnedSoFar(): Boolean = isShort && summed > 1 && isTurned(sum)

    private fun silent(samples: Array<FloatArray>, slow: SlowPart, mayRest: Boolean): Defect.Kind? = when {
        mayRest && heldShare(samples) > rules.frozenShare -> Defect.Kind.FROZEN
        mayRest && zeroShare(samples) > rules.zeroShare -> Defect.Kind.ZEROS
        rules.hasGravity && slow.square < rules.nearZeroSquare -> Defect.Kind.NO_GRAVITY
        else -> null
    }

    private fun same(one: FloatArray, other: FloatArray) = one.indices.all { one[it] == other[it] }

    private fun unknownAbove(share: Double, limit: Double) = if (share > limit) UNKNOWN else null

    private fun cutOff(samples: Array<FloatArray>, health: Health): Defect? {
        val (share, atG) = cutOff(rules, samples, knownG = cutAtG)
        if (share <= rules.cutOffShare) {
            if (!(atG <= cutAtG)) cutAtG = 0.0
            return null
        }
        cutAtG = atG
        health.cutOff++
        return Defect(Defect.Kind.CUT_OFF, unknownAbove(share, rules.saturatedShare))
    }

    private fun rate(rateHz: Double): Defect? {
        if (rateHz >= rules.filteredHz) return null
        return Defect(Defect.Kind.RATE, if (rateHz < rules.minRateHz) UNKNOWN else null)
    }

    private fun isWrongGravity(newest: SlowPart, startS: Double, endS: Double, afterGap: Boolean): Boolean {
        val slow = if (rules.isLong) newest else averaged(newest, afterGap)
        if (afterGap || rules.isLong) sinceS = startS
        if (endS - sinceS < rules.slowNeededS) return isWrongAtRest || isTooShort
        var isWrong = hasGravityProblem(rules, slow)
        if (rules.hasGravity && (isWrong || isTooShort)) isTooShort = slow.lengthG < rules.gravityLowG
        if (!isWrong && slow.square > rules.smallestLimitSquare) isWrong = isBeyondTraining(slow)
        if ((isWrong || isWrongAtRest) && slow.isCalm(rules)) isWrongAtRest = isWrong
        return isWrong || isWrongAtRest || isTooShort
    }

    private fun averaged(newest: SlowPart, afterGap: Boolean): SlowPart {
        val old = slow
        val weight = rules.slowNewest
        val averaged = if (old == null || afterGap) {
            newest
        } else {
            SlowPart(
                old.x + weight * (newest.x - old.x),
                old.y + weight * (newest.y - old.y),
                old.z + weight * (newest.z - old.z),
                old.square + weight * (newest.square - old.square),
            )
        }
        slow = averaged
        return averaged
    }

    private fun isBeyondTraining(slow: SlowPart): Boolean {
        val meanG = rules.largestMeanG
        val rmsG = rules.largestRmsG
        return (meanG > 0 && slow.lengthG > meanG) || (rmsG > 0 && slow.rmsG > rmsG)
    }

    /** Add a window's mean reading; every ``DIRECTION_S`` of them tell where gravity points. */
    private fun add(slow: SlowPart) {
        sum = SlowPart(sum.x + slow.x, sum.y + slow.y, sum.z + slow.z, 0.0)
        summed++
        if (summed == rules.directionWindows) {
            isTurned = isTurned(sum)
            isShort = false
            summed = 0
            sum = SlowPart(0.0, 0.0, 0.0, 0.0)
        }
    }

    private fun isTurned(sum: SlowPart): Boolean {
        if (!rules.hasDirection) return false
        val length = sum.lengthG
        if (length < rules.shortestMeanG * summed) return false
        val along = sum.x * rules.directionX + sum.y * rules.directionY + sum.z * rules.directionZ
        return max(-1.0, min(1.0, along / length)) < rules.directionCosine
    }
}
