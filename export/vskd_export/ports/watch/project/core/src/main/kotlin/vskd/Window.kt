package vskd

/** What is wrong with a window's signal; [label] of the event where the window can get no activity, else null. */
data class Defect(val kind: Kind, val label: Int? = null) {
    enum class Kind {
        FROZEN, ZEROS, NO_GRAVITY, EQUAL_AXES, SATURATED, CUT_OFF, RATE, GRAVITY, DEAD_X, DEAD_Y, DEAD_Z, DIRECTION
    }
}

/** What a stream gives. */
sealed interface Piece

/** One window: [samples] of three axes, g; times of its first and last sample, s, on the sensor's clock. */
class Window(
    val samples: Array<FloatArray>,
    val startS: Double,
    val endS: Double,
    val afterGap: Boolean,
    val defects: List<Defect>,
    val filterS: Double,
) : Piece {
    /** The defect for which the window gets no activity. */
    val obstacle: Defect? get() = defects.firstOrNull { it.label != null }

    /** Movement of the wrist: the standard deviation of |a|, g. */
    fun movementG(): Double {
        val (xs, ys, zs) = samples
        val lengths = DoubleArray(xs.size) { length(xs[it].toDouble(), ys[it].toDouble(), zs[it].toDouble()) }
        val mean = lengths.sum() / lengths.size
        var square = 0.0
        for (each in lengths) square += (each - mean) * (each - mean)
        return kotlin.math.sqrt(square / lengths.size)
    }
}

/** No samples for longer than the contract bridges. */
class Pause(val startS: Double, val endS: Double) : Piece

/** Samples that cannot be in the unit that was named, in which their median |a| is [median]. */
class WrongUnit(val median: Double, unit: AccelerationUnit, gravity: Double) :
    RuntimeException("the median |a| of the first samples is $median $unit, but gravity alone makes it $gravity")

internal fun length(x: Double, y: Double, z: Double): Double = kotlin.math.sqrt(x * x + y * y + z * z)
