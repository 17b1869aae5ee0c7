package vskd

import java.math.BigDecimal
import kotlin.math.abs
import kotlin.math.max

/**
 * Cuts one sensor's samples into the contract's windows; the rules are described in `vskd/stream`.
 *
 * Times are integers or seconds, one kind for all of a stream.
 */
internal class Stream(
    private val rules: Rules,
    private val unit: AccelerationUnit,
    private val axes: AxisMap,
    private val timeUnit: TimeUnit,
) {
    val health = Health()
    private val judge = if (rules.isJudged) Judge(rules) else null
    private val order = if (rules.sorts) Order(rules, health) else null
    private val lowPass = if (rules.taps.isEmpty()) null else LowPass(rules)
    private var filter: LowPass? = null // while the sensor is well faster than the contract
    private val toG = if (unit == AccelerationUnit.G) 1.0 else rules.metreToG

    // Magnitudes so far, g; null once the unit is believed. Without gravity there is nothing to know it by.
    private var unitCheck: ArrayList<Double>? = if (rules.unitSamples > 0) ArrayList() else null
    private var isWaking = judge != null // only zeros so far
    private var held = ArrayList<Piece>() // until the unit is believed
    private var beforeWaking = 0 // how many of them are of zeros alone, and need no unit
    private var hasOrigin = false
    private var originTicks = 0L
    private var originTime = 0.0
    private var taken = 0 // samples since the sensor's rate was judged
    private var judgedS = 0.0 // when that was
    private var last = Sample(Double.NEGATIVE_INFINITY, 0.0, 0.0, 0.0) // accepted
    private var anchorS = 0.0 // time of the segment's first sample, where its grid starts
    private var nextIndex = 0L // of the next regular sample, counted from the anchor
    private var afterGap = true
    private val regular = Array(3) { FloatArray(rules.samples) } // the window that is being filled
    private var filled = 0

    /** Time of the first sample, s, on the sensor's clock; 0 before it. */
    var firstSampleS = 0.0
        private set

    /** Time of the latest sample, s, on the sensor's clock; null before the first. */
    val lastSampleS: Double?
        get() {
            val newestS = max(last.timeS, order?.newestS ?: Double.NEGATIVE_INFINITY)
            return if (newestS == Double.NEGATIVE_INFINITY) null else firstSampleS + newestS
        }

    /** A sample whose time is an integer of the time unit. */
    fun push(time: Long, x: Float, y: Float, z: Float): List<Piece> {
        health.samples++
        if (isUsable(x, y, z)) {
            if (!hasOrigin) {
                originTicks = time
                begin(time.toDouble())
            }
            sortOut(secondsBetween(originTicks, time), x, y, z)
        }
        return handedOut()
    }

    /** A sample whose time is a number of the time unit. */
    fun push(time: Double, x: Float, y: Float, z: Float): List<Piece> {
        health.samples++
        if (!(abs(time) <= Float.MAX_VALUE)) health.notFinite++
        else if (isUsable(x, y, z)) {
            if (!hasOrigin) {
                originTime = time
                begin(time)
            }
            sortOut((time - originTime) / timeUnit.perSecond, x, y, z)
        }
        return handedOut()
    }

    /** The recording is over: what was held for samples that might still come. */
    fun finish(): List<Piece> {
        order?.finish()?.forEach { accept(it.sample, it.starts) }
        judge?.let { health.isTurned = it.isTurnedSoFar() }
        return handedOut()
    }

    private fun begin(time: Double) {
        hasOrigin = true
        firstSampleS = time / timeUnit.perSecond
    }

    private fun isUsable(x: Float, y: Float, z: Float): Boolean {
        val isUsable = x.isFinite() && y.isFinite() && z.isFinite()
        if (!isUsable) health.notFinite++
        return isUsable
    }

    /** The difference of two times, s, rounded once. */
    private fun secondsBetween(first: Long, time: Long): Double {
        val ticks = time - first
        val hasOverflown = ((time xor first) and (time xor ticks)) < 0
        if (!hasOverflown && abs(ticks) <= 1L shl 53) return ticks / timeUnit.perSecond
        return BigDecimal(time).subtract(BigDecimal(first)).movePointLeft(timeUnit.decimals).toDouble()
    }

    private fun handedOut(): List<Piece> {
        if (held.isEmpty()) return held
        val count = if (unitCheck == null || isWaking) held.size else beforeWaking
        beforeWaking = 0
        val items = ArrayList(held.subList(0, count))
        held.subList(0, count).clear()
        return items
    }

    private fun sortOut(nowS: Double, x: Float, y: Float, z: Float) {
        val raw = doubleArrayOf(x * toG, y * toG, z * toG)
        val sample = Sample(
            nowS, raw[axes.order[0]] * axes.sign[0], raw[axes.order[1]] * axes.sign[1], raw[axes.order[2]] * axes.sign[2],
        )
        if (order != null) {
            order.lastS = last.timeS // another one where the unit was refused
            for (ready in order.take(sample)) accept(ready.sample, ready.starts)
            return
        }
        val stepS = nowS - last.timeS
        if (-rules.maxGapS <= stepS && stepS <= 0) health.outOfOrder++
        else accept(sample, starts = !(0 < stepS && stepS <= rules.maxGapS))
    }

    /** Take a sample that is in order; [starts]: it begins a segment. */
    private fun accept(sample: Sample, starts: Boolean) {
        if (largest(sample) >= rules.rangeG) health.saturated++
        if (isWaking && wakes(sample) && last.timeS > Double.NEGATIVE_INFINITY) {
            checkUnit(sample)
            startSegment(sample)
            return
        }
        checkUnit(sample)
        if (!starts) {
            if (sample.timeS - last.timeS > 0) follow(sample)
            return
        }
        val stepS = sample.timeS - last.timeS
        if (stepS < Double.POSITIVE_INFINITY) { // before the very first sample there is no gap
            health.gaps++
            if (stepS <= 0) health.resets++
            holdPause(stepS, sample.timeS)
        }
        startSegment(sample)
    }

    private fun largest(sample: Sample) = max(abs(sample.x), max(abs(sample.y), abs(sample.z)))

    /** Count a zero at the start, and tell the first other sample: a sensor that is not awake yet gives zeros. */
    private fun wakes(sample: Sample): Boolean {
        if (largest(sample) == 0.0) {
            health.leadingZeros++
            return false
        }
        isWaking = false
        beforeWaking = held.size
        return true
    }

    /** After a clock was set back, or after one sample whose clock nothing confirms, no pause is known. */
    private fun holdPause(stepS: Double, nowS: Double) {
        val isConfirmed = order == null || last.timeS > anchorS
        if (stepS > 0 && isConfirmed) {
            val sinceS = firstSampleS + nowS
            held.add(Pause(sinceS - stepS, sinceS))
        }
    }

    private fun checkUnit(sample: Sample) {
        val check = unitCheck ?: return
        if (isWaking) return
        val needed = rules.unitSamples
        if (check.size < needed) check.add(length(sample.x, sample.y, sample.z))
        if (check.size == needed) {
            val medianG = check.sorted()[needed / 2]
            if (isWrongUnit(rules, medianG, medianG / toG)) throw WrongUnit(medianG / toG, unit, 1 / toG)
            unitCheck = null
        }
    }

    /** Begin anew: the sample is the first of a grid, and of a window. */
    private fun startSegment(sample: Sample) {
        last = sample
        anchorS = sample.timeS
        afterGap = true
        health.beginSegment(rules.rateSteps, rules.rateHz)
        taken = 0
        judgedS = sample.timeS
        filter?.flush() // what it still held lies at the end of the segment before
        val filter = if (order != null) filterFor(order.periodS) else null
        this.filter = filter
        if (filter == null) {
            put(0, sample)
            nextIndex = 1
            filled = 1
        } else { // the first regular sample is the first with all of the filter's length around it
            nextIndex = filter.halfPeriods.toLong()
            filled = 0
            filter.begin(sample, anchorS, nextIndex)
        }
    }

    private fun put(at: Int, sample: Sample) {
        regular[0][at] = sample.x.toFloat()
        regular[1][at] = sample.y.toFloat()
        regular[2][at] = sample.z.toFloat()
    }

    private fun follow(sample: Sample) {
        health.countInterval()
        taken++
        val filter = filter
        if (filter == null) {
            interpolate(sample)
            last = sample
            return
        }
        if (!filter.isBegun) filter.begin(last, anchorS, nextIndex)
        last = sample
        for (each in filter.take(sample)) if (putFiltered(each)) judgeRate(sample.timeS)
        if (this.filter == null) filter.flush().forEach { putFiltered(it) }
    }

    /** Regular samples between the last sample and this one. */
    private fun interpolate(sample: Sample) {
        val nowS = sample.timeS
        val stepS = nowS - last.timeS
        var dueS = anchorS + nextIndex / rules.rateHz
        while (dueS <= nowS) {
            if (dueS < nowS) {
                val partS = dueS - last.timeS
                regular[0][filled] = ((sample.x - last.x) / stepS * partS + last.x).toFloat()
                regular[1][filled] = ((sample.y - last.y) / stepS * partS + last.y).toFloat()
                regular[2][filled] = ((sample.z - last.z) / stepS * partS + last.z).toFloat()
            } else { // a sample on the grid is taken as it is
                put(filled, sample)
            }
            filled++
            nextIndex++
            dueS = anchorS + nextIndex / rules.rateHz
            if (filled == rules.samples) {
                cut()
                judgeRate(nowS)
            }
        }
    }

    /** Add a regular sample that went through the filter, which overshoots; gives whether it completes a window. */
    private fun putFiltered(sample: Sample): Boolean {
        val most = Float.MAX_VALUE.toDouble()
        put(
            filled,
            Sample(0.0, sample.x.coerceIn(-most, most), sample.y.coerceIn(-most, most), sample.z.coerceIn(-most, most)),
        )
        filled++
        nextIndex++
        val isFull = filled == rules.samples
        if (isFull) cut()
        return isFull
    }

    /** Whether the filter is still the right way, judged at the end of a window. */
    private fun judgeRate(nowS: Double) {
        if (order == null || taken < rules.rateOpening) return
        val periodS = (nowS - judgedS) / taken
        taken = 0
        judgedS = nowS
        order.measure(periodS)
        filter = filterFor(periodS)
    }

    /** The filter, where a sensor of this period is well faster than the contract. */
    private fun filterFor(periodS: Double): LowPass? =
        lowPass?.takeIf { periodS * rules.rateHz * rules.filterAbove <= 1 }

    /** Take the full window; the next one begins with a part of it. */
    private fun cut() {
        val beginS = absoluteS(nextIndex - rules.samples)
        val endS = absoluteS(nextIndex - 1)
        val samples = Array(3) { regular[it].copyOf() }
        val filter = filter
        // The samples go on for half a filter after the window.
        health.countWindow(nextIndex - 1 + (filter?.halfPeriods ?: 0))
        val defects = if (judge == null) {
            health.countFlat(samples)
            listOf()
        } else {
            judge.judge(samples, beginS, endS, afterGap, health)
        }
        held.add(Window(samples, beginS, endS, afterGap, defects, filter?.halfS ?: 0.0))
        afterGap = false
        filled = rules.samples - rules.hop
        for (axis in 0..2) samples[axis].copyInto(regular[axis], 0, rules.hop)
    }

    private fun absoluteS(index: Long) = firstSampleS + (anchorS + index / rules.rateHz)
}
