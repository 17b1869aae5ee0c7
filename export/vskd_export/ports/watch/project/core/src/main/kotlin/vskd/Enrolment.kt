package vskd

import kotlin.math.sqrt

/** A recording that is no example. */
class NoExample(why: String) : RuntimeException(why)

/** One performance of an activity on its way to an example: that which `vskd enroll` makes of the same samples. */
class Enrolment(
    private val rules: Rules,
    private val engine: Engine,
    unit: AccelerationUnit = AccelerationUnit.G,
    axes: AxisMap = AxisMap.IDENTITY,
    timeUnit: TimeUnit = TimeUnit.NS,
) {
    private val stream = Stream(rules, unit, axes, timeUnit)
    private val features = Features(rules)
    private val found = ArrayList<DoubleArray>()
    private var windows = 0
    private var still = 0
    private var obstacle: Defect? = null

    fun push(time: Long, x: Float, y: Float, z: Float) = stream.push(time, x, y, z).forEach(::take)

    fun push(time: Double, x: Float, y: Float, z: Float) = stream.push(time, x, y, z).forEach(::take)

    /** The performance is over: its feature. */
    fun end(): ByteArray {
        stream.finish().forEach(::take)
        val problem = when {
            windows == 0 -> "the recording holds no window of %.1f s".format(rules.windowS)
            found.isEmpty() && still > 0 -> "the wrist does not move in this recording"
            found.isEmpty() -> "no window of the recording can be known: ${obstacle?.kind}"
            else -> "the model sees nothing in this recording"
        }
        return (if (found.isEmpty()) null else features.exampleOf(found)) ?: throw NoExample(problem)
    }

    private fun take(piece: Piece) {
        if (piece !is Window) return
        windows++
        val defect = piece.obstacle
        if (defect != null) {
            obstacle = obstacle ?: defect
        } else if (spreadG(piece) < rules.stillG || piece.movementG() < rules.stillBelowG) {
            still++
        } else {
            found += features.of(engine.infer(piece.samples), piece.samples)
        }
    }

    /** How much the axes vary, all together, g. */
    private fun spreadG(window: Window): Double {
        var square = 0.0
        for (row in window.samples) {
            val mean = row.sumOf { it.toDouble() } / row.size
            square += row.sumOf { (it - mean) * (it - mean) } / row.size
        }
        return sqrt(square)
    }
}
