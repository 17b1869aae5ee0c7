/* Test harness: plays the cases of a file through the core, and prints what comes out. */
import java.io.DataInputStream
import java.io.File
import java.lang.management.ManagementFactory
import java.math.BigDecimal
import java.math.MathContext
import vskd.AccelerationUnit
import vskd.Answer
import vskd.AxisMap
import vskd.Classifier
import vskd.Engine
import vskd.Enrolment
import vskd.Event
import vskd.Example
import vskd.Features
import vskd.Network
import vskd.NoExample
import vskd.Profile
import vskd.Rules
import vskd.TimeUnit
import vskd.WrongUnit

/** Logits and embedding are readings of the window, so that no arithmetic can differ. */
class Readings(private val classes: Int) : Engine {
    override fun infer(window: Array<FloatArray>): Answer {
        fun reading(index: Int, step: Int) = window[index % 3][step * index % window[0].size]
        return Answer(FloatArray(classes) { reading(it, 5) }, FloatArray(8) { reading(it, 3) })
    }
}

fun main(arguments: Array<String>) {
    val input = DataInputStream(File(arguments[0]).inputStream().buffered())
    while (true) {
        when (input.read()) {
            -1 -> return
            0 -> stream(input)
            1 -> windows(input)
            2 -> enrolment(input)
        }
        println()
    }
}

private fun DataInputStream.rules(): Rules = CONTRACTS.getValue(readUTF())

private fun DataInputStream.window(rules: Rules) = Array(3) { FloatArray(rules.samples) { readFloat() } }

private fun windows(input: DataInputStream) {
    val rules = input.rules()
    val network = DataInputStream(File(input.readUTF()).inputStream().buffered()).use { Network.read(it) }
    val windows = List(input.readInt()) { input.window(rules) }
    val features = Features(rules)
    for (window in windows) {
        val answer = network.infer(window)
        val embedding = answer.embedding ?: FloatArray(0)
        val feature = if (embedding.isEmpty()) null else features.rounded(features.of(answer, window))
        println(answer.logits.joinToString(" ") { it.toRawBits().toString() })
        println(embedding.joinToString(" ") { it.toRawBits().toString() })
        println(feature?.joinToString(" ") ?: "")
    }
    val thread = ManagementFactory.getThreadMXBean()
    val best = (1..5).minOf {
        val begin = thread.currentThreadCpuTime // others may use the processor
        windows.take(100).forEach { window -> network.infer(window) }
        thread.currentThreadCpuTime - begin
    }
    println("%.3f".format(best / 1e6 / windows.take(100).size))
}

/** The samples of a stream as one example; a sentence where they are none. */
private fun enrolment(input: DataInputStream) {
    val rules = input.rules()
    val unit = AccelerationUnit.entries[input.readInt()]
    val axes = AxisMap.parse(input.readUTF())
    val timeUnit = TimeUnit.entries[input.readInt()]
    input.readInt() // no examples
    input.readUTF() // no network's file
    val enrolment = Enrolment(rules, Readings(rules.labels.size), unit, axes, timeUnit)
    var found: String? = null
    repeat(input.readInt()) {
        val kind = input.read()
        val ticks = if (kind == 0) input.readLong() else 0L
        val seconds = if (kind == 1) input.readDouble() else 0.0
        try {
            when (kind) {
                0 -> enrolment.push(ticks, input.readFloat(), input.readFloat(), input.readFloat())
                1 -> enrolment.push(seconds, input.readFloat(), input.readFloat(), input.readFloat())
                else -> found = found ?: enrolment.end().joinToString(" ")
            }
        } catch (_: WrongUnit) {
            found = "wrong unit"
        } catch (problem: NoExample) {
            found = problem.message
        }
        if (kind < 2) input.readDouble()
    }
    println(found)
}

private fun stream(input: DataInputStream) {
    val rules = input.rules()
    val unit = AccelerationUnit.entries[input.readInt()]
    val axes = AxisMap.parse(input.readUTF())
    val timeUnit = TimeUnit.entries[input.readInt()]
    val examples = List(input.readInt()) { Example(input.readUTF(), ByteArray(input.readInt()) { input.readByte() }) }
    val path = input.readUTF()
    val engine =
        if (path.isEmpty()) Readings(rules.labels.size)
        else DataInputStream(File(path).inputStream().buffered()).use { Network.read(it) }
    val classifier = Classifier(rules, engine, unit, axes, timeUnit, Profile(rules, examples))
    repeat(input.readInt()) {
        val kind = input.read()
        try {
            val events = when (kind) {
                0 -> classifier.push(input.readLong(), input.readFloat(), input.readFloat(), input.readFloat())
                1 -> classifier.push(input.readDouble(), input.readFloat(), input.readFloat(), input.readFloat())
                2 -> classifier.silence(input.readDouble())
                else -> classifier.finish()
            }
            if (kind < 2) classifier.delivered(input.readDouble())
            events.forEach { show(classifier, it) }
        } catch (_: WrongUnit) {
            println("wrong unit")
            if (kind < 2) input.readDouble()
        }
    }
    with(classifier.health) {
        println(
            "health $samples $outOfOrder $wild $reordered $spread $notFinite $gaps $resets $saturated $cutOff $windows " +
                "$still $leadingZeros $withoutActivity ${flat.joinToString(" ")} ${if (isTurned) 1 else 0} " +
                "${number(recentRateHz ?: Double.NaN)} ${number(recentSaturated)}",
        )
    }
}

/** As Python's format ``.9g``, but for its exponents. */
private fun number(value: Double) =
    if (value.isNaN()) "nan" else BigDecimal(value).round(MathContext(9)).stripTrailingZeros().toPlainString()

private fun show(classifier: Classifier, event: Event) {
    val defects = event.defects.joinToString(",") { "${it.kind}:${it.label?.let(classifier::nameOf) ?: ""}" }
    println(
        "event;${classifier.nameOf(event.label)};${event.reason};${event.startS};${event.endS};${event.delayS};" +
            "${event.probability};${event.probabilities.joinToString(" ")};$defects",
    )
}
