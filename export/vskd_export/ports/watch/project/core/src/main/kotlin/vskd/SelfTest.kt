package vskd

import java.io.DataInputStream
import java.io.InputStream

/** What Python gave for the bundle's golden windows and streams, beside what this machine gives. */
class SelfTest(
    val windows: Int,
    val equalWindows: Int,
    val equalLabels: Int,
    val events: Int,
    val equalEvents: Int,
    val millisecondsAWindow: Double,
    val problems: List<String>,
) {
    val isPassed: Boolean get() = equalWindows == windows && equalEvents == events

    override fun toString() = "$equalWindows of $windows windows bit-equal, $equalLabels labels equal, " +
        "$equalEvents of $events events equal, %.1f ms a window".format(millisecondsAWindow)

    companion object {
        /** A probability may differ by so much: Python's exp is another one. */
        private const val PROBABILITY = 1e-9

        /** Replays what `vskd watch` wrote into [golden]; [clockNs] is read around each window. */
        fun run(rules: Rules, engine: Engine, golden: InputStream, clockNs: () -> Long = System::nanoTime): SelfTest {
            val input = DataInputStream(golden.buffered())
            val problems = ArrayList<String>()
            val times = ArrayList<Long>()
            var equalWindows = 0
            var equalLabels = 0
            val windows = input.readInt()
            repeat(windows) {
                val name = input.readUTF()
                val window = Array(3) { input.readFloats(rules.samples) }
                val due = Answer(input.readFloats(input.readInt()), input.readFloats(input.readInt()))
                val begin = clockNs()
                val given = engine.infer(window)
                times += clockNs() - begin
                val isEqual = given.logits.contentEquals(due.logits) &&
                    (given.embedding ?: FloatArray(0)).contentEquals(due.embedding!!)
                if (isEqual) equalWindows++ else problems += "window $name: other bits"
                if (largest(given.logits) == largest(due.logits)) equalLabels++
            }
            val streams = List(input.readInt()) { stream(rules, engine, input) }
            return SelfTest(
                windows, equalWindows, equalLabels, streams.sumOf { it.events }, streams.sumOf { it.equal },
                times.sorted()[times.size / 2] / 1e6, problems + streams.mapNotNull { it.problem },
            )
        }

        private fun largest(logits: FloatArray) = logits.indices.maxByOrNull { logits[it] }

        /** Of a stream the events that came or were due, how many were as they had to be, and the first difference. */
        private class Replayed(val events: Int, val equal: Int, val problem: String?)

        private fun stream(rules: Rules, engine: Engine, input: DataInputStream): Replayed {
            val name = input.readUTF()
            val unit = AccelerationUnit.entries[input.readInt()]
            val axes = AxisMap.parse(input.readUTF())
            val classifier = Classifier(rules, engine, unit, axes, TimeUnit.entries[input.readInt()])
            val isInteger = input.readBoolean()
            val events = ArrayList<Event>()
            repeat(input.readInt()) {
                events += if (isInteger) {
                    classifier.push(input.readLong(), input.readFloat(), input.readFloat(), input.readFloat())
                } else {
                    classifier.push(input.readDouble(), input.readFloat(), input.readFloat(), input.readFloat())
                }
            }
            events += classifier.finish()
            val due = input.readInt()
            val differences = (0 until due).mapNotNull { number ->
                val label = input.readInt()
                val startS = input.readDouble()
                val endS = input.readDouble()
                val probabilities = DoubleArray(rules.labels.size) { input.readDouble() }
                val event = events.getOrNull(number)
                val isEqual = event != null && event.label == label && event.startS == startS && event.endS == endS &&
                    probabilities.indices.all { kotlin.math.abs(probabilities[it] - event.probabilities[it]) < PROBABILITY }
                "stream $name: event $number is another one".takeIf { !isEqual }
            }
            val problem = differences.firstOrNull() ?: "stream $name: ${events.size} events, not $due".takeIf { events.size != due }
            return Replayed(maxOf(events.size, due), due - differences.size, problem)
        }
    }
}

private fun DataInputStream.readFloats(count: Int) = FloatArray(count) { readFloat() }
