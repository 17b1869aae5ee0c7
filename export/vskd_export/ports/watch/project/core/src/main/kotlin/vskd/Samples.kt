package vskd

/** Labels of events that are no activity; activities are 0 and up, see [Classifier.labels]. */
const val UNKNOWN = -1
const val NO_SIGNAL = -2
const val STILL = -3

/** Unit of the samples pushed. */
enum class AccelerationUnit { G, M_S2 }

/** Unit of the times pushed: [decimals] of a second. */
enum class TimeUnit(val decimals: Int, val perSecond: Double) { S(0, 1.0), MS(3, 1e3), US(6, 1e6), NS(9, 1e9) }

/** For each axis of the contract the sensor's, 0 to 2, and a sign. */
class AxisMap(val order: IntArray, val sign: DoubleArray) {
    companion object {
        val IDENTITY = AxisMap(intArrayOf(0, 1, 2), doubleArrayOf(1.0, 1.0, 1.0))

        /** Reads `-y,x,z`: for each axis of the contract the sensor's axis, with a sign. */
        fun parse(text: String): AxisMap {
            val parts = text.split(",").map { it.trim() }
            val order = parts.map { "xyz".indexOf(it.trimStart('+', '-')) }
            require(order.sorted() == listOf(0, 1, 2)) { "an axis map names x, y and z once each, like '-y,x,z'; got '$text'" }
            return AxisMap(order.toIntArray(), DoubleArray(3) { if (parts[it].startsWith("-")) -1.0 else 1.0 })
        }
    }
}
