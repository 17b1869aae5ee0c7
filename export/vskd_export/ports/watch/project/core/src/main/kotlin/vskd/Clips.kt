package vskd

import java.io.BufferedWriter
import java.io.File
import java.io.OutputStream
import java.util.zip.ZipEntry
import java.util.zip.ZipOutputStream

/**
 * Labelled recordings as a data set that `vskd train --dataset folder` reads: `dataset.toml`, `clips.csv`, and one file
 * of samples for each clip, in m/s^2, with the sensor's own times.
 */
class Clips(private val folder: File, private val placement: String, private val hasGravity: Boolean) {
    private val table = File(folder, "clips.csv")
    private val sensors = File(folder, "sensors")

    /** How many there are. */
    val size: Int get() = if (table.exists()) table.readLines().size - 1 else 0

    /** Begin a recording; it is in the data set once it has ended. */
    fun begin(subject: String, label: String): Clip {
        sensors.mkdirs()
        File(folder, "dataset.toml").takeIf { !it.exists() }?.writeText(
            "name = \"watch\"\nunit = \"m/s^2\"\ngravity = $hasGravity\nplacement = ${quoted(placement, "\\\"")}\n",
        )
        if (!table.exists()) table.writeText("clip,subject,label,sensor,video,session\n")
        val name = generateSequence(1) { it + 1 }.map { "clip_$it" }.first { !File(sensors, "$it.csv").exists() }
        return Clip(name, subject, label)
    }

    /** All of it as one zip. */
    fun export(out: OutputStream) = ZipOutputStream(out).use { zip ->
        for (file in folder.walkTopDown().filter { it.isFile }.sorted()) {
            zip.putNextEntry(ZipEntry(file.relativeTo(folder).invariantSeparatorsPath))
            file.inputStream().use { it.copyTo(zip) }
            zip.closeEntry()
        }
    }

    inner class Clip internal constructor(private val name: String, private val subject: String, private val label: String) {
        private val file = File(sensors, "$name.csv")
        private val writer: BufferedWriter = file.bufferedWriter().apply { write("time_ns,ax,ay,az\n") }

        fun add(timeNs: Long, x: Float, y: Float, z: Float) = writer.write("$timeNs,$x,$y,$z\n")

        fun end() {
            writer.close()
            table.appendText("$name,${quoted(subject, "\"\"")},${quoted(label, "\"\"")},sensors/$name.csv,,\n")
        }

        fun discard() {
            writer.close()
            file.delete()
        }
    }
}

private fun quoted(text: String, quote: String) =
    "\"" + (if (quote == "\\\"") text.replace("\\", "\\\\") else text).replace("\"", quote) + "\""
