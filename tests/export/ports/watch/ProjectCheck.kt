/* Test harness: the self-test of a project, and two recordings of it. */
import java.io.File
import vskd.About
import vskd.Clips
import vskd.Example
import vskd.ProfileFile
import vskd.Wearer
import vskd.Wrist
import vskd.openNetwork
import vskd.selfTest

/** A profile is read and written, broken ones are refused, and one example more is kept. */
private fun profile(file: File, broken: Int) {
    val format = ProfileFile(About.SHA256, About.CONTRACT_SHA256)
    val content = file.readBytes()
    println(if (format.write(format.read(content)).contentEquals(content)) "equal bytes" else "other bytes")
    fun told(work: () -> Unit) = try { work() } catch (refused: RuntimeException) { println(refused.message) }
    for (number in 0 until broken) told { format.read(file.resolveSibling("$number.profile").readBytes()) }
    val wearer = Wearer.open(file, Wrist, format)
    val one = wearer.examples[0].feature
    val other = changed(wearer.examples[2].feature, 3)
    wearer.add(Example("größer", other))
    println("${wearer.examples.size} examples")
    told { wearer.add(Example("No  Signal", other)) }
    told { wearer.add(Example("new", one)) }
    told { wearer.add(Example("größer", changed(one, 3))) }
    wearer.add(Example("new", changed(one, 4)))
    wearer.remove(4)
}

private fun changed(feature: ByteArray, at: Int) =
    feature.copyOf().also { it[at] = (if (it[at] > 0) it[at] - 40 else it[at] + 40).toByte() }

fun main(arguments: Array<String>) {
    if (arguments[0] == "profile") return profile(File(arguments[1]), arguments[2].toInt())
    val found = selfTest(openNetwork())
    println("${found.isPassed} ${found.windows} ${found.events} ${found.equalLabels}")
    found.problems.forEach(::println)
    val clips = Clips(File(arguments[0]), About.PLACEMENT, Wrist.hasGravity)
    for (label in listOf("a, \"quoted\" label", "größer")) {
        val clip = clips.begin("wearer", label)
        for (row in 0 until 200) clip.add(5_000_000_000L + row * 20_000_000L, 0.01f * (row % 7), label.length.toFloat(), 9.81f)
        clip.end()
    }
    clips.begin("wearer", "discarded").discard()
    File(arguments[0]).resolveSibling("recordings.zip").outputStream().use { clips.export(it) }
    println(clips.size)
}
