package vskd

import java.io.DataInputStream
import kotlin.math.abs
import kotlin.math.max
import kotlin.math.min
import kotlin.math.sqrt
import kotlin.math.withSign

/** What stands between the window and the network, in float32 and in the order of `vskd/plan/encode.py`. */
internal sealed interface Encoder {
    /** Gives every element of the encoded window, in the order of its channels, rows and columns. */
    fun encode(window: Array<FloatArray>, give: (Float) -> Unit)

    companion object {
        fun read(input: DataInputStream): Encoder = if (input.readBoolean()) Image.read(input) else Raw.read(input)
    }
}

/** A raw network's channels: transform by transform, axis by axis within. */
internal class Raw(private val transforms: IntArray, private val perScale: Float, private val clipG: Float) : Encoder {
    override fun encode(window: Array<FloatArray>, give: (Float) -> Unit) {
        for (transform in transforms) {
            for (row in window) {
                when (transform) {
                    READING -> for (value in row) give(min(max(value, -clipG), clipG))
                    SOFT -> for (value in row) give(tanh32(value * perScale))
                    else -> centred(row, give)
                }
            }
        }
    }

    private fun centred(row: FloatArray, give: (Float) -> Unit) {
        val soft = FloatArray(row.size) { tanh32(row[it] * perScale) }
        val mean = sequentialSum(soft) / row.size
        for (value in soft) give(value - mean)
    }

    companion object {
        private const val READING = 0
        private const val SOFT = 1

        fun read(input: DataInputStream) = Raw(input.readInts(), input.readFloat(), input.readFloat())
    }
}

/** Gramian angular fields: field by field, axis by axis within, row by row. */
internal class Image(
    private val isDifference: BooleanArray,
    private val scaling: Int,
    private val scaleG: Float,
    private val perScale: Float,
    private val bounds: IntArray,
) : Encoder {
    private val size = bounds.size - 1
    private val cosine = Array(3) { FloatArray(size) }
    private val sine = Array(3) { FloatArray(size) }

    override fun encode(window: Array<FloatArray>, give: (Float) -> Unit) {
        for (axis in 0..2) {
            val reduced = reduced(window[axis])
            if (scaling == SOFT) soft(reduced, cosine[axis], sine[axis]) else linear(reduced, cosine[axis], sine[axis])
        }
        for (difference in isDifference) {
            for (axis in 0..2) {
                val c = cosine[axis]
                val s = sine[axis]
                val one = if (difference) s else c
                val other = if (difference) c else s
                for (row in 0 until size) for (column in 0 until size) give(one[row] * c[column] - other[row] * s[column])
            }
        }
    }

    private fun reduced(row: FloatArray) = FloatArray(size) { segment ->
        val weight = (1.0 / (bounds[segment + 1] - bounds[segment])).toFloat()
        var sum = 0f
        for (at in bounds[segment] until bounds[segment + 1]) sum += row[at] * weight
        sum
    }

    private fun soft(reduced: FloatArray, cosine: FloatArray, sine: FloatArray) {
        for (at in reduced.indices) {
            val scaled = reduced[at] * perScale
            val once = decay(abs(scaled))
            val square = once * once
            cosine[at] = ((1f - square) / (1f + square)).withSign(scaled)
            sine[at] = (once + once) / (1f + square)
        }
    }

    private fun linear(reduced: FloatArray, cosine: FloatArray, sine: FloatArray) {
        val low = if (scaling == MINMAX) reduced.min() else -scaleG
        val high = if (scaling == MINMAX) reduced.max() else scaleG
        val width = if (scaling == MINMAX) max(high - low, FLAT_G) else high - low
        for (at in reduced.indices) {
            val value = min(max(reduced[at], low), high)
            val above = (value - low) / width
            val below = (high - value) / width
            val root = sqrt(above * below)
            cosine[at] = above - below
            sine[at] = root + root
        }
    }

    companion object {
        private const val SOFT = 0
        private const val MINMAX = 1

        fun read(input: DataInputStream): Image {
            val fields = input.readInts()
            return Image(
                BooleanArray(fields.size) { fields[it] == 1 }, input.readInt(), input.readFloat(), input.readFloat(),
                input.readInts(),
            )
        }
    }
}

private fun sequentialSum(values: FloatArray): Float {
    var sum = 0f
    for (value in values) sum += value
    return sum
}

internal fun DataInputStream.readInts() = IntArray(readInt()) { readInt() }

internal fun DataInputStream.readBytesOfLength() = ByteArray(readInt()).also { readFully(it) }
