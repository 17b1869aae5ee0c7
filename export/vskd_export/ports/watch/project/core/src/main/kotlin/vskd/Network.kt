package vskd

import java.io.DataInputStream
import kotlin.math.max
import kotlin.math.min
import kotlin.math.truncate

/** A tensor of int8, channels innermost; an integer q stands for scale * (q - zeroPoint). */
internal class Tensor(
    val height: Int, val width: Int, val channels: Int, val scale: Float, val zeroPoint: Int,
) {
    val data = ByteArray(height * width * channels)

    fun values() = FloatArray(data.size) { scale * (data[it] - zeroPoint).toFloat() }

    companion object {
        fun read(input: DataInputStream) =
            Tensor(input.readInt(), input.readInt(), input.readInt(), input.readFloat(), input.readInt())
    }
}

/**
 * The integer network of a bundle, executed from its plan: the bits of TensorFlow Lite Micro's reference kernels.
 *
 * The arithmetic is described in `vskd/plan/kernels.py`.
 */
class Network private constructor(
    private val encoder: Encoder,
    private val first: Tensor,
    private val parts: List<Part>,
    private val places: IntArray,
    private val steps: List<Step>,
    private val logits: Tensor,
    private val embedding: Tensor?,
) : Engine {
    override fun infer(window: Array<FloatArray>): Answer {
        var element = 0
        var part = 0
        encoder.encode(window) {
            if (element == parts[part].end) part++
            first.data[places[element++]] = parts[part].quantized(it)
        }
        for (step in steps) step.run()
        return Answer(logits.values(), embedding?.values())
    }

    companion object {
        /** Reads what `vskd watch` wrote beside the code. */
        fun read(input: DataInputStream): Network {
            val encoder = Encoder.read(input)
            val tensors = List(input.readInt()) { Tensor.read(input) }
            val parts = Part.read(input, tensors[0])
            val places = input.readInts()
            val steps = List(input.readInt()) { readStep(input, tensors) }
            val logits = tensors[input.readInt()]
            return Network(encoder, tensors[0], parts, places, steps, logits, tensors.getOrNull(input.readInt()))
        }
    }
}

/** How the encoder's output, up to the element [end], becomes integers of the [first] tensor. */
private class Part(
    val end: Int,
    private val first: Tensor,
    private val scale: Float,
    private val zeroPoint: Int,
    private val rescaling: Rescaling?,
) {
    /** The nearest integer, half away from zero; then the first tensor's. */
    fun quantized(value: Float): Byte {
        val steps = min(max(value / scale, -1000f), 1000f)
        val whole = truncate(steps)
        val rest = steps - whole
        val nearest = whole.toInt() + (if (rest >= 0.5f) 1 else 0) - (if (rest <= -0.5f) 1 else 0)
        val integer = min(max(nearest + zeroPoint, -128), 127)
        return if (rescaling == null) integer.toByte()
        else clamped(rescaling.of(integer - zeroPoint) + first.zeroPoint, -128, 127)
    }

    companion object {
        fun read(input: DataInputStream, first: Tensor): List<Part> {
            var end = 0
            return List(input.readInt()) {
                end += input.readInt()
                Part(end, first, input.readFloat(), input.readInt(), if (input.readBoolean()) Rescaling(input) else null)
            }
        }
    }
}

private fun clamped(value: Int, low: Int, high: Int): Byte = min(max(value, low), high).toByte()

/** An integer times multiplier / 2^31 * 2^shift, rounded twice. */
private fun rescaled(value: Int, multiplier: Int, shift: Int): Int {
    val right = max(-shift, 0)
    val high = ((value.toLong() shl max(shift, 0)) * multiplier + (1L shl 30)) shr 31
    val half = (1L shl right) shr 1
    return ((high + half - if (high < 0 && right > 0) 1 else 0) shr right).toInt()
}

internal fun interface Step {
    fun run()
}

private fun readStep(input: DataInputStream, tensors: List<Tensor>): Step = when (val kind = input.readByte().toInt()) {
    0 -> Convolution.read(input, tensors)
    1 -> Addition.read(input, tensors)
    2 -> Pooling.read(input, tensors)
    3 -> Mean.read(input, tensors)
    4 -> Concatenation.read(input, tensors)
    else -> error("the network's file has a step of the kind $kind, which this code does not know")
}

/** Where a kernel lies over its source. */
private class Kernel(input: DataInputStream) {
    val height = input.readInt()
    val width = input.readInt()
    val down = input.readInt()
    val right = input.readInt()
    val above = input.readInt()
    val before = input.readInt()
}

/** A convolution, or a dense layer; depthwise: each output channel reads the one input channel of its number. */
private class Convolution(
    private val source: Tensor,
    private val target: Tensor,
    private val height: Int,
    private val width: Int,
    private val channels: Int,
    private val isDepthwise: Boolean,
    private val kernel: Kernel,
    private val weights: ByteArray,
    private val biases: IntArray,
    private val multipliers: IntArray,
    private val shifts: IntArray,
    private val low: Int,
    private val high: Int,
) : Step {
    /** What lies under the kernel; outside of the source that reads as its zero point. */
    private val patch = ByteArray(kernel.height * kernel.width * channels)

    private val sums = IntArray(biases.size)

    override fun run() {
        var at = 0
        for (row in 0 until target.height) {
            for (column in 0 until target.width) {
                gather(row * kernel.down - kernel.above, column * kernel.right - kernel.before)
                if (isDepthwise) strided() else dense()
                for (output in sums.indices) {
                    val scaled = rescaled(biases[output] + sums[output], multipliers[output], shifts[output])
                    target.data[at++] = clamped(scaled + target.zeroPoint, low, high)
                }
            }
        }
    }

    private fun gather(top: Int, left: Int) {
        val from = max(0, -left)
        val until = min(kernel.width, width - left)
        val isWhole = top >= 0 && top + kernel.height <= height && from == 0 && until == kernel.width
        if (!isWhole) patch.fill(source.zeroPoint.toByte())
        if (from >= until) return
        for (row in max(0, -top) until min(kernel.height, height - top)) {
            val begin = ((top + row) * width + left + from) * channels
            source.data.copyInto(
                patch, (row * kernel.width + from) * channels, begin, begin + (until - from) * channels,
            )
        }
    }

    /** Four outputs at a time, so that an element of the patch is read once for them. */
    private fun dense() {
        val patch = patch
        val weights = weights
        val size = patch.size
        var output = 0
        while (output + 3 < sums.size) {
            val offset = output * size
            var one = 0
            var two = 0
            var three = 0
            var four = 0
            for (index in 0 until size) {
                val value = patch[index].toInt()
                one += value * weights[offset + index]
                two += value * weights[offset + size + index]
                three += value * weights[offset + 2 * size + index]
                four += value * weights[offset + 3 * size + index]
            }
            sums[output] = one
            sums[output + 1] = two
            sums[output + 2] = three
            sums[output + 3] = four
            output += 4
        }
        while (output < sums.size) {
            var sum = 0
            for (index in 0 until size) sum += patch[index] * weights[output * size + index]
            sums[output++] = sum
        }
    }

    private fun strided() {
        for (channel in sums.indices) {
            var sum = 0
            for (index in channel until patch.size step channels) sum += patch[index] * weights[index]
            sums[channel] = sum
        }
    }

    companion object {
        fun read(input: DataInputStream, tensors: List<Tensor>) = Convolution(
            tensors[input.readInt()], tensors[input.readInt()], input.readInt(), input.readInt(), input.readInt(),
            input.readBoolean(), Kernel(input), input.readBytesOfLength(), input.readInts(), input.readInts(),
            input.readInts(), input.readInt(), input.readInt(),
        )
    }
}

private class Rescaling(input: DataInputStream) {
    private val multiplier = input.readInt()
    private val shift = input.readInt()

    fun of(value: Int) = rescaled(value, multiplier, shift)
}

private class Addition(
    private val one: Tensor,
    private val other: Tensor,
    private val target: Tensor,
    private val ofOne: Rescaling,
    private val ofOther: Rescaling,
    private val result: Rescaling,
    private val low: Int,
    private val high: Int,
) : Step {
    override fun run() {
        for (at in target.data.indices) {
            val sum = ofOne.of((one.data[at] - one.zeroPoint) shl ADDITION_SHIFT) +
                ofOther.of((other.data[at] - other.zeroPoint) shl ADDITION_SHIFT)
            target.data[at] = clamped(result.of(sum) + target.zeroPoint, low, high)
        }
    }

    companion object {
        fun read(input: DataInputStream, tensors: List<Tensor>) = Addition(
            tensors[input.readInt()], tensors[input.readInt()], tensors[input.readInt()], Rescaling(input),
            Rescaling(input), Rescaling(input), input.readInt(), input.readInt(),
        )
    }
}

/** Largest, or average, of the elements under a kernel; what lies outside of the source is passed over. */
private class Pooling(
    private val source: Tensor,
    private val target: Tensor,
    private val isAverage: Boolean,
    private val kernel: Kernel,
    private val low: Int,
    private val high: Int,
) : Step {
    override fun run() {
        var at = 0
        for (row in 0 until target.height) {
            for (column in 0 until target.width) {
                for (channel in 0 until target.channels) {
                    target.data[at++] = clamped(pooled(row * kernel.down - kernel.above, column * kernel.right - kernel.before, channel), low, high)
                }
            }
        }
    }

    private fun pooled(top: Int, left: Int, channel: Int): Int {
        var count = 0
        var sum = 0
        var largest = -128
        for (row in max(0, top) until min(source.height, top + kernel.height)) {
            for (column in max(0, left) until min(source.width, left + kernel.width)) {
                val value = source.data[(row * source.width + column) * source.channels + channel].toInt()
                count++
                sum += value
                largest = max(largest, value)
            }
        }
        return if (isAverage) (if (sum > 0) sum + count / 2 else sum - count / 2) / count else largest
    }

    companion object {
        fun read(input: DataInputStream, tensors: List<Tensor>) = Pooling(
            tensors[input.readInt()], tensors[input.readInt()], input.readBoolean(), Kernel(input), input.readInt(),
            input.readInt(),
        )
    }
}

/** Mean over height and width; without a rescaling the quotient is cut off. */
private class Mean(private val source: Tensor, private val target: Tensor, private val rescaling: Rescaling?) : Step {
    override fun run() {
        val count = source.height * source.width
        for (channel in 0 until source.channels) {
            var sum = 0
            for (at in channel until source.data.size step source.channels) sum += source.data[at]
            target.data[channel] = if (rescaling == null) {
                (sum / count).toByte()
            } else {
                clamped(rescaling.of(sum - source.zeroPoint * count) + target.zeroPoint, -128, 127)
            }
        }
    }

    companion object {
        fun read(input: DataInputStream, tensors: List<Tensor>) = Mean(
            tensors[input.readInt()], tensors[input.readInt()], if (input.readBoolean()) Rescaling(input) else null,
        )
    }
}

/** Tensors one behind the other; [inner] elements of each at a time: those of its axis and of the axes behind it. */
private class Concatenation(
    private val sources: List<Tensor>,
    private val target: Tensor,
    private val inner: IntArray,
) : Step {
    override fun run() {
        val period = inner.sum()
        var start = 0
        for ((number, source) in sources.withIndex()) {
            val length = inner[number]
            for (block in 0 until source.data.size / length) {
                source.data.copyInto(target.data, block * period + start, block * length, (block + 1) * length)
            }
            start += length
        }
    }

    companion object {
        fun read(input: DataInputStream, tensors: List<Tensor>) =
            Concatenation(input.readInts().map { tensors[it] }, tensors[input.readInt()], input.readInts())
    }
}
