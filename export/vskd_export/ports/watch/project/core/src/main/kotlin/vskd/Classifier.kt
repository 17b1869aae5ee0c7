package vskd

import kotlin.math.abs

/** What a model says of one window. */
class Answer(val logits: FloatArray, val embedding: FloatArray?)

/** What runs a model. */
interface Engine {
    /** Logits, and the embedding where the model has one, of a window of three axes, g. */
    fun infer(window: Array<FloatArray>): Answer
}

/**
 * Activities from a wrist accelerometer: push samples, get events. One thread at a time.
 *
 * [profile] holds the wearer's examples; where it is null or empty the network alone decides.
 */
class Classifier(
    private val rules: Rules,
    private val engine: Engine,
    private val unit: AccelerationUnit = AccelerationUnit.G,
    private val axes: AxisMap = AxisMap.IDENTITY,
    private val timeUnit: TimeUnit = TimeUnit.NS,
    profile: Profile? = null,
) {
    private val stream = Stream(rules, unit, axes, timeUnit)
    private var decider = Decider(rules, profile?.takeIf { it.size > 0 })
    private val delivery = if (rules.batchS > 0) Delivery(rules) else null
    private var silentSinceS: Double? = null // last sample before the latest silence that was reported

    /** Of an event's probabilities: the contract's, then those that only the wearer's examples know. */
    val labels: List<String> get() = decider.labels
    val health: Health get() = stream.health

    /** What a label of an event is called. */
    fun nameOf(label: Int): String = when (label) {
        UNKNOWN -> "unknown"
        NO_SIGNAL -> "no signal"
        STILL -> "still"
        else -> labels[label]
    }

    /** Decide with these examples from now on, afresh. */
    fun decideWith(profile: Profile?) {
        decider = Decider(rules, profile?.takeIf { it.size > 0 })
    }

    /** Take a sample, give the events that it completes; throws [WrongUnit], then and from then on. */
    fun push(time: Long, x: Float, y: Float, z: Float): List<Event> = events(stream.push(time, x, y, z))

    /** The same with a time that is no integer; a stream has one kind of time. */
    fun push(time: Double, x: Float, y: Float, z: Float): List<Event> = events(stream.push(time, x, y, z))

    /** The recording is over: decisions on samples that were held, since others might still have come before them. */
    fun finish(): List<Event> = events(stream.finish())

    /** A live source calls this behind each batch that it pushed, with the wall's monotonic clock, s. */
    fun delivered(clockS: Double) {
        val lastS = stream.lastSampleS ?: return
        delivery?.arrived(stream.firstSampleS, lastS, clockS)
    }

    /** A live source calls this while it waits: no sample has come for [forS] s, by any clock. */
    fun silence(forS: Double): List<Event> {
        val lastS = stream.lastSampleS ?: return listOf()
        if (lastS == silentSinceS) return listOf()
        val event = decider.noSignal(Pause(lastS, lastS + forS - (delivery?.inHandS ?: 0.0))) ?: return listOf()
        silentSinceS = lastS
        return listOf(event)
    }

    private fun events(pieces: List<Piece>): List<Event> = if (pieces.isEmpty()) listOf() else pieces.mapNotNull(::event)

    private fun event(piece: Piece): Event? = when (piece) {
        is Window -> decide(piece)
        is Pause -> {
            val sinceS = silentSinceS
            val wasReported = sinceS != null && abs(piece.startS - sinceS) < rules.sameTimeS
            if (wasReported) null else decider.noSignal(piece)
        }
    }

    /** Run the model on one window and decide; still ones and those that cannot be known never reach the model. */
    private fun decide(window: Window): Event {
        window.obstacle?.let {
            health.withoutActivity++
            return decider.withoutActivity(window, it.label!!)
        }
        val limitG = rules.stillBelowG
        val isStill = (if (limitG > 0) window.movementG() else 0.0) < limitG
        health.windows++
        if (isStill) {
            health.still++
            return decider.still(window)
        }
        return decider.decide(engine.infer(window.samples), window)
    }
}
