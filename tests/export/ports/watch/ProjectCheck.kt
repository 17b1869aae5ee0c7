/* Test harness: the self-test of a project, and two recordings of it. */
import java.io.File
import vskd.About
import vskd.Clips
import vskd.Wrist
import vskd.openNetwork
import vskd.selfTest

fun main(arguments: Array<String>) {
    val found = selfTest(openNetwork())
    println("${found.isPassed} ${found.windows} ${found.streams} ${found.equalLabels}")
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
