package vskd

/** Why an event is no activity. */
enum class Reason { NONE, SIGNAL, NOT_FINITE, STILL, NO_SAMPLES, IMPROBABLE, UNLIKE_EXAMPLES }

/**
 * One decision.
 *
 * [label] an activity, 0 and up, or [UNKNOWN], [NO_SIGNAL], [STILL]; [probability] of it, or of the one that it would
 * have been; times of the window's first and last sample, or of the pause, s, on the sensor's clock; [delayS] how far a
 * decision lags behind a change of activity.
 */
class Event(
    val label: Int,
    val probability: Double,
    val reason: Reason,
    val startS: Double,
    val endS: Double,
    val delayS: Double,
    val probabilities: DoubleArray,
    val defects: List<Defect>,
)

/** From logits to events; the rules are described in `vskd/decide.py`. */
internal class Decider(private val rules: Rules, private val profile: Profile?) {
    val labels: List<String> = profile?.labels ?: rules.labels
    private val even = DoubleArray(labels.size) { 1.0 / labels.size }
    private var average: DoubleArray? = null
    private var cosine = 0.0 // to the nearest example, smoothed as the probabilities are
    private var reported = -1
    private var challenger = -1
    private var ledFor = 0

    private fun reset() {
        average = null
        cosine = 0.0
        reported = -1
        challenger = -1
        ledFor = 0
    }

    fun decide(answer: Answer, window: Window): Event {
        if (window.afterGap) reset()
        if (!answer.logits.sumOf { it.toDouble() }.isFinite()) return notFinite(window)
        val exponents = DoubleArray(labels.size)
        var isUnlike = false
        if (profile == null) {
            exponents(answer.logits.toDoubles(), rules.temperature, exponents)
            smooth(exponents)
            choose()
        } else {
            val values = DoubleArray(labels.size)
            val nearest = profile.mix(answer, window, values)
            if (nearest.isNaN()) return notFinite(window)
            val new = if (average == null) 1.0 else rules.smoothing
            cosine = new * nearest + (1 - new) * cosine
            exponents(values, 1.0, exponents)
            smooth(exponents)
            choose()
            isUnlike = profile.hasExamplesOf(reported) && cosine < rules.unknownBelowCosine
        }
        val probability = average!![reported]
        val reason = when {
            probability < rules.unknownBelow -> Reason.IMPROBABLE
            isUnlike -> Reason.UNLIKE_EXAMPLES
            else -> Reason.NONE
        }
        return Event(
            if (reason == Reason.NONE) reported else UNKNOWN, probability, reason, window.startS, window.endS,
            rules.delayS + window.filterS, average!!.copyOf(), window.defects,
        )
    }

    /** The event of a window that the motion gate kept from the network. */
    fun still(window: Window): Event {
        reset()
        return nothing(STILL, Reason.STILL, window, rules.windowS + window.filterS)
    }

    /** The event of a window whose signal cannot be known. */
    fun withoutActivity(window: Window, label: Int): Event {
        reset()
        return nothing(label, Reason.SIGNAL, window, rules.windowS + window.filterS)
    }

    /** The event of a pause; null where it is not long enough to be one. */
    fun noSignal(pause: Pause): Event? {
        val awayS = pause.endS - pause.startS
        if (!(0 < rules.noSignalAfterS && rules.noSignalAfterS < awayS)) return null
        reset()
        return Event(
            NO_SIGNAL, 1.0 / labels.size, Reason.NO_SAMPLES, pause.startS, pause.endS, awayS, even.copyOf(), listOf(),
        )
    }

    private fun notFinite(window: Window) = nothing(UNKNOWN, Reason.NOT_FINITE, window, rules.delayS + window.filterS)

    private fun nothing(label: Int, reason: Reason, window: Window, delayS: Double) = Event(
        label, 1.0 / labels.size, reason, window.startS, window.endS, delayS, even.copyOf(), window.defects,
    )

    /** The exponential average of the probabilities, of which [exponents] over their sum are the newest. */
    private fun smooth(exponents: DoubleArray) {
        val total = exponents.sum()
        val old = average
        average = if (old == null) {
            DoubleArray(exponents.size) { exponents[it] / total }
        } else {
            val new = rules.smoothing
            DoubleArray(exponents.size) { new * (exponents[it] / total) + (1 - new) * old[it] }
        }
    }

    /** The label to report: a new one only after it has led by enough, for long enough. */
    private fun choose() {
        val average = average!!
        var leading = 0
        for (label in average.indices) if (average[label] > average[leading]) leading = label
        if (reported < 0) reported = leading
        val lead = average[leading] - average[reported]
        val isEnough = lead > 0 && lead >= rules.minLead // a tie changes nothing
        ledFor = if (!isEnough) 0 else if (leading == challenger) ledFor + 1 else 1
        challenger = leading
        if (ledFor >= rules.minDwellWindows) reported = leading
    }

    /** The exponents of a softmax, the largest of which is 1. */
    private fun exponents(logits: DoubleArray, temperature: Double, into: DoubleArray) {
        val largest = logits.max() / temperature // rounding keeps the order, so this is the largest quotient
        for (label in logits.indices) into[label] = exponential(rules, logits[label] / temperature - largest)
    }
}

internal fun FloatArray.toDoubles() = DoubleArray(size) { this[it].toDouble() }
