package vskd

/** What became of the samples and of the windows: counts, and the rate of the last seconds. */
class Health {
    var samples = 0L
        internal set
    var outOfOrder = 0L
        internal set
    var wild = 0L
        internal set
    var reordered = 0L
        internal set
    var spread = 0L
        internal set
    var notFinite = 0L
        internal set
    var gaps = 0L
        internal set
    var resets = 0L
        internal set
    var saturated = 0L
        internal set
    var cutOff = 0L
        internal set
    var leadingZeros = 0L
        internal set
    var windows = 0L
        internal set
    var still = 0L
        internal set
    var withoutActivity = 0L
        internal set

    /** For each axis the windows in which it read one value throughout. */
    val flat = LongArray(3)

    /** Of the accepted samples, Hz; sooner after a start the highest that it can be; null before the first window. */
    var recentRateHz: Double? = null
        private set
    var recentSaturated = 0.0
        private set

    /** Whether gravity points elsewhere than in training, at the end of a stream too short for events to say it. */
    var isTurned = false
        internal set

    private class Mark(val index: Long, val intervals: Long, val saturated: Long)

    private var intervals = 0L
    private var steps = 0
    private var gridHz = 0.0
    private val marks = ArrayDeque<Mark>()

    internal fun countInterval() {
        intervals++
    }

    /** The next sample is the first of a grid of [gridHz]; the rate is measured over [steps] of it, or up to a hop more. */
    internal fun beginSegment(steps: Int, gridHz: Double) {
        this.steps = steps
        this.gridHz = gridHz
        marks.clear()
        marks.addLast(Mark(0, intervals, saturated))
    }

    /** A window is full, whose last sample has this [index] on its grid. */
    internal fun countWindow(index: Long) {
        marks.addLast(Mark(index, intervals, saturated))
        if (index - marks[1].index >= steps) marks.removeFirst()
        val start = marks.first()
        val elapsed = index - start.index
        val counted = intervals - start.intervals
        // So soon after a start an interval more or less counts: the rate is at most this.
        val taken = if (elapsed >= steps) counted else counted + 1
        recentRateHz = taken * gridHz / elapsed
        recentSaturated = if (saturated != start.saturated) (saturated - start.saturated).toDouble() / counted else 0.0
    }

    /** Counts, and gives, the axes of a window that read one value throughout. */
    internal fun countFlat(samples: Array<FloatArray>): List<Int> {
        val found = (0..2).filter { axis -> samples[axis].all { it == samples[axis][0] } }
        for (axis in found) flat[axis]++
        return found
    }
}
