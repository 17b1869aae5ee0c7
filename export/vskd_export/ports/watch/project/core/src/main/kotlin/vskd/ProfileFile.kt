package vskd

import java.io.File
import java.security.MessageDigest
import java.text.Normalizer
import kotlin.math.abs

/** A file that holds no profile of this model. */
class NoProfile(why: String) : RuntimeException("this file holds no profile of this model: $why")

/** The file of a wearer's examples, as `vskd enroll` and the page write it; see `vskd/wearer/profile.py`. */
class ProfileFile(private val bundleSha256: String, private val contractSha256: String) {
    /** The examples of a file; every number of it is checked. */
    fun read(bytes: ByteArray): List<Example> {
        refuse(bytes.size > LARGEST_BYTES, "it has more than $LARGEST_BYTES bytes")
        val text = String(bytes, Charsets.ISO_8859_1)
        refuse(!text.startsWith(MAGIC), "it does not begin as one")
        val begin = MAGIC.length + HASH_LENGTH
        val content = bytes.copyOfRange(begin.coerceAtMost(bytes.size), bytes.size)
        refuse(text.substring(MAGIC.length).take(HASH_LENGTH) != sha256(content) + "\n", "it is damaged, its hash is another")
        val end = content.indexOf('\n'.code.toByte())
        refuse(end < 0, "it has no header")
        return examples(Header(Json(String(content, 0, end)).whole()), content.copyOfRange(end + 1, content.size))
    }

    private fun examples(header: Header, features: ByteArray): List<Example> {
        refuse(header.bundle != bundleSha256, "it was made with another model: enrol by this one")
        val count = header.labelOf.size
        val fits = header.whenS.size == count && header.recordings.size == count && count <= MOST_EXAMPLES &&
            header.features in 0..MOST_FEATURES && features.size.toLong() == count * header.features
        refuse(!fits, "its header does not fit its features")
        header.labels.forEach { label -> labelProblem(label).let { refuse(it.isNotEmpty(), "a label $it") } }
        return header.labelOf.indices.map { row ->
            val label = header.labels.getOrNull(header.labelOf[row].coerceIn(-1, MOST_EXAMPLES.toLong()).toInt())
            val width = header.features.toInt()
            val feature = features.copyOfRange(row * width, (row + 1) * width)
            refuse(label == null, "an example has a label that is not there")
            refuse(feature.maxOfOrNull { abs(it.toInt()) } != FULL, "the largest entry of an example is not $FULL")
            Example(label!!, feature, header.whenS[row], header.recordings[row])
        }
    }

    /** What [read] reads; the bytes that Python writes of the same examples. */
    fun write(examples: List<Example>): ByteArray {
        val labels = examples.map { it.label }.distinct()
        val header = listOf(
            "bundle_sha256" to quoted(bundleSha256),
            "contract_sha256" to quoted(contractSha256),
            "features" to "${examples.firstOrNull()?.feature?.size ?: 0}",
            "labels" to list(labels.map(::quoted)),
            "label_of" to list(examples.map { "${labels.indexOf(it.label)}" }),
            "when_s" to list(examples.map { "${it.whenS}" }),
            "recordings" to list(examples.map { quoted(it.recording) }),
        ).joinToString(",", "{", "}\n") { (name, value) -> "${quoted(name)}:$value" }
        val content = examples.fold(header.toByteArray()) { bytes, example -> bytes + example.feature }
        return MAGIC.toByteArray() + "${sha256(content)}\n".toByteArray() + content
    }

    private class Header(json: Any) {
        private val fields = json as? Map<*, *> ?: throw NoProfile("its header cannot be read")
        val bundle = field<String>("bundle_sha256")
        val features = field<Long>("features")
        val labels = listed<String>("labels")
        val labelOf = listed<Long>("label_of")
        val whenS = listed<Long>("when_s")
        val recordings = listed<String>("recordings")

        private inline fun <reified T> field(name: String): T =
            fields[name] as? T ?: throw NoProfile("its header lacks $name")

        private inline fun <reified T> listed(name: String): List<T> =
            field<List<*>>(name).map { it as? T ?: throw NoProfile("$name of its header holds something else") }
    }

    companion object {
        const val MOST_EXAMPLES = 256
        private const val MAGIC = "vskd profile 1\n"
        private const val HASH_LENGTH = 65
        private const val LARGEST_BYTES = 1 shl 20
        private const val MOST_FEATURES = 2048L
        private const val FULL = 127
    }
}

/** The wearer's examples in their file, which is written anew, whole or not at all, with each change. */
class Wearer private constructor(
    private val file: File, private val rules: Rules, private val format: ProfileFile, examples: List<Example>,
) {
    var examples = examples
        private set
    val profile: Profile? get() = if (examples.isEmpty()) null else Profile(rules, examples)

    /** Keep one more; throws [NoExample] where it cannot be one, or contradicts those of its own label. */
    fun add(example: Example) {
        val other = profile?.contradiction(example.label, example.feature)
        val problem = when {
            labelProblem(example.label).isNotEmpty() -> "the activity ${labelProblem(example.label)}"
            examples.size == rules.examples -> "there are ${examples.size} examples, which is the most: remove some"
            examples.any { it.feature.contentEquals(example.feature) } -> "this recording is an example already"
            other != null -> "it is nearer to an example of $other than to those of ${example.label}"
            else -> null
        }
        if (problem != null) throw NoExample(problem)
        keep(examples + example)
    }

    fun remove(number: Int) = keep(examples.filterIndexed { at, _ -> at != number })

    private fun keep(changed: List<Example>) {
        val part = File("$file.part")
        part.writeBytes(format.write(changed))
        if (!part.renameTo(file)) throw NoExample("$file cannot be written")
        examples = changed
    }

    companion object {
        /** Throws [NoProfile] for a file that is there and cannot be used. */
        fun open(file: File, rules: Rules, format: ProfileFile) =
            Wearer(file, rules, format, if (file.exists()) format.read(file.readBytes()) else listOf())
    }
}

/** Why a text cannot be an activity, as the rest of a sentence; empty where it can: `vskd/untrusted/text.py`. */
fun labelProblem(text: String): String {
    val folded = Normalizer.normalize(text, Normalizer.Form.NFKC).lowercase().split(Regex("\\s+")).joinToString(" ")
    return when {
        text.isEmpty() -> "is empty"
        text.codePointCount(0, text.length) > 100 -> "has more than 100 characters"
        text.codePoints().anyMatch(::isInvisible) -> "holds an invisible character"
        text != text.trim() -> "begins or ends with a blank"
        text != Normalizer.normalize(text, Normalizer.Form.NFC) -> "is not in Unicode's composed normal form"
        folded in listOf("still", "unknown", "no signal") -> "is what vskd calls an event without an activity"
        else -> ""
    }
}

private fun isInvisible(point: Int): Boolean = when (Character.getType(point).toByte()) {
    Character.CONTROL, Character.FORMAT, Character.SURROGATE, Character.PRIVATE_USE, Character.UNASSIGNED,
    Character.LINE_SEPARATOR, Character.PARAGRAPH_SEPARATOR -> true
    Character.SPACE_SEPARATOR -> point != ' '.code
    else -> false
}

private fun refuse(isWrong: Boolean, why: String) {
    if (isWrong) throw NoProfile(why)
}

private fun sha256(bytes: ByteArray): String =
    MessageDigest.getInstance("SHA-256").digest(bytes).joinToString("") { "%02x".format(it) }

private fun list(values: List<String>) = values.joinToString(",", "[", "]")

private fun quoted(text: String) = "\"" + text.replace("\\", "\\\\").replace("\"", "\\\"") + "\""

/** Reads what a header may hold: objects, lists, texts and whole numbers. */
private class Json(private val text: String) {
    private var at = 0

    fun whole(): Any = value().also { if (peek() != END) fail() }

    private fun value(): Any = when (peek()) {
        '{' -> items('}') { (string() to { take(':'); value() }()) }.toMap()
        '[' -> items(']', ::value)
        '"' -> string()
        else -> number()
    }

    private fun <T> items(end: Char, item: () -> T): List<T> {
        at++
        val found = ArrayList<T>()
        if (peek() == end) { at++; return found }
        while (true) {
            found += item()
            if (peek() == end) { at++; return found }
            take(',')
        }
    }

    private fun string(): String {
        take('"')
        val found = StringBuilder()
        while (true) {
            when (val one = next()) {
                '"' -> return found.toString()
                '\\' -> found.append(escaped())
                else -> found.append(one)
            }
        }
    }

    private fun escaped(): Char = when (val one = next()) {
        '"', '\\', '/' -> one
        'n' -> '\n'
        't' -> '\t'
        'r' -> '\r'
        'b' -> '\b'
        'f' -> '\u000c'
        'u' -> (String(CharArray(4) { next() }).toIntOrNull(16) ?: fail()).toChar()
        else -> fail()
    }

    private fun number(): Long {
        val begin = at
        while (peek().let { it == '-' || it in '0'..'9' }) at++
        return text.substring(begin, at).toLongOrNull() ?: fail()
    }

    private fun peek(): Char {
        while (at < text.length && text[at] == ' ') at++
        return text.getOrElse(at) { END }
    }

    private fun take(due: Char) {
        if (peek() != due) fail()
        at++
    }

    private fun next(): Char = text.getOrNull(at++) ?: fail()

    private fun fail(): Nothing = throw NoProfile("its header cannot be read")

    private companion object {
        const val END = '\u0000'
    }
}
