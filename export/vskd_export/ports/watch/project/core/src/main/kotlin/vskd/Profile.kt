package vskd

import kotlin.math.abs
import kotlin.math.max
import kotlin.math.sqrt

/**
 * One recording of an activity by the wearer, as a rounded [feature]; [whenS] it was enrolled, s since 1970, and
 * [recording] the hash of the file in which it is kept elsewhere, empty where it is not.
 */
class Example(val label: String, val feature: ByteArray, val whenS: Long = 0, val recording: String = "")

/** The wearer's examples, and how they decide with the network; see `vskd/wearer`. A changed profile is another one. */
class Profile(private val rules: Rules, private val examples: List<Example>) {
    init {
        require(examples.size <= rules.examples) { "the profile has ${examples.size} examples, and this code holds ${rules.examples}" }
        require(examples.map { it.feature.size }.toSet().size <= 1) { "the examples are of different models" }
    }

    val size = examples.size
    private val features = Features(rules)

    /** The contract's, then those that only the examples know. */
    val labels: List<String> = (rules.labels + examples.map { it.label }).distinct()

    private val lengths = DoubleArray(size) { sqrt(dot(examples[it].feature, examples[it].feature)) }
    private val activities = examples.indices.groupBy { labels.indexOf(examples[it].label) }
        .map { (label, rows) -> Activity(label, rows) }
    private val triangle = if (rules.usesRidge) factorized() else null

    private inner class Activity(val label: Int, val rows: List<Int>) {
        private val fitted = minOf(rows.size, rules.exampleLogits.size) - 1
        private val coefficient = if (rules.usesMeans) 1 / max(sqrt(max(square(), 0.0)), rules.nothing) else 1.0

        /** Of the sum of its examples, each of unit length. */
        private fun square(): Double {
            var sum = 0.0
            for (one in rows) for (other in rows) sum += cosine(one, other)
            return sum
        }

        fun score(parts: DoubleArray): Double =
            if (rules.usesMeans || rules.usesRidge) rows.sumOf { parts[it] * coefficient } else rows.maxOf { parts[it] }

        fun mixed(value: Double, top: Double, parts: DoubleArray): Double = top +
            rules.exampleLogits[fitted] * (value - top) +
            rules.exampleWeights[fitted] * (score(parts) - rules.exampleNeutral[fitted])
    }

    /** Cholesky's triangle of the examples' cosines to each other, with the ridge on the diagonal. */
    private fun factorized(): Array<DoubleArray> {
        val rows = Array(size) { DoubleArray(it + 1) }
        for ((one, own) in rows.withIndex()) {
            var rest = cosine(one, one) + rules.ridge
            for (place in 0 until one) {
                var sum = cosine(one, place)
                for (before in 0 until place) sum -= own[before] * rows[place][before]
                own[place] = sum / rows[place][place]
                rest -= own[place] * own[place]
            }
            own[one] = sqrt(rest)
        }
        return rows
    }

    /** What each example adds to its activity's score, of its cosine to the window. */
    private fun parts(cosines: DoubleArray): DoubleArray {
        val rows = triangle ?: return cosines
        val found = cosines.copyOf()
        for ((place, row) in rows.withIndex()) {
            for (other in 0 until place) found[place] -= row[other] * found[other]
            found[place] /= row[place]
        }
        for ((place, row) in rows.withIndex().reversed()) {
            found[place] /= row[place]
            for (other in 0 until place) found[other] -= row[other] * found[place]
        }
        return found
    }

    /** The label of an example that is nearer to a further one of [label] than each of its own; null where none is. */
    fun contradiction(label: String, feature: ByteArray): String? {
        val cosines = examples.indices.map { cosine(feature, it) }
        val own = cosines.filterIndexed { at, _ -> examples[at].label == label }.maxOrNull() ?: return null
        return examples[cosines.indices.maxByOrNull { cosines[it] }!!].label.takeIf { cosines.max() > own }
    }

    fun hasExamplesOf(label: Int): Boolean = activities.any { it.label == label }

    /** Gives each label's value of a window; returns the cosine to the nearest example, NaN where nothing is finite. */
    internal fun mix(answer: Answer, window: Window, into: DoubleArray): Double {
        val feature = features.of(answer, window.samples)
        if (!feature.all { it.isFinite() }) return Double.NaN
        val values = features.rounded(feature)
        val cosines = DoubleArray(size) { if (values == null) 0.0 else cosine(values, it) }
        val logits = answer.logits
        for (label in logits.indices) into[label] = logits[label] / rules.temperature
        val top = logits.indices.maxOf { into[it] }
        for (label in logits.size until into.size) into[label] = top
        val parts = parts(cosines)
        for (activity in activities) into[activity.label] = activity.mixed(into[activity.label], top, parts)
        return cosines.max()
    }

    private fun cosine(one: Int, other: Int): Double =
        dot(examples[one].feature, examples[other].feature) / (lengths[one] * lengths[other])

    private fun cosine(values: ByteArray, row: Int): Double {
        require(values.size == examples[row].feature.size) { "the window's feature has ${values.size} values, and an example ${examples[row].feature.size}" }
        return dot(values, examples[row].feature) / (sqrt(dot(values, values)) * lengths[row])
    }
}

private fun dot(one: ByteArray, other: ByteArray): Double {
    var sum = 0
    for (index in one.indices) sum += one[index] * other[index]
    return sum.toDouble()
}

/** What examples are compared by: the embedding, and beside it the low end of the window's spectrum. */
class Features(private val rules: Rules) {
    /** Cosines and sines of 1, 2, ... periods in the window. */
    private val cosines = waves(StrictMath::cos)
    private val sines = waves(StrictMath::sin)

    /** Of a window, and of the model's answer to it. */
    fun of(answer: Answer, samples: Array<FloatArray>): DoubleArray {
        val embedding = requireNotNull(answer.embedding) { "the model gives no embedding, by which examples are compared" }
        val own = DoubleArray(embedding.size) { embedding[it].toDouble() }
        if (rules.spectrum == 0.0) return own
        val beside = spectrum(samples)
        val ofOwn = sqrt(1 - rules.spectrum) / max(norm(own), rules.shortest)
        val ofBeside = sqrt(rules.spectrum) / max(norm(beside), rules.shortest)
        return DoubleArray(own.size + beside.size) {
            if (it < own.size) own[it] * ofOwn else beside[it - own.size] * ofBeside
        }
    }

    /** As integers within the full range, by single precision; null where it says nothing. */
    fun rounded(feature: DoubleArray): ByteArray? {
        val largest = feature.maxOf { abs(it) }.toFloat()
        if (!(rules.nothing < largest && largest < Float.POSITIVE_INFINITY)) return null
        val factor = rules.full.toFloat() / largest
        return ByteArray(feature.size) { Math.rint((feature[it].toFloat() * factor).toDouble()).toInt().toByte() }
    }

    /** One example of the features of its windows: their mean at unit length, rounded; null where they say nothing. */
    fun exampleOf(features: List<DoubleArray>): ByteArray? {
        val lengths = features.map(::norm)
        if (features.isEmpty() || !lengths.all { it > rules.nothing && it.isFinite() }) return null
        return rounded(
            DoubleArray(features[0].size) { at ->
                features.indices.sumOf { features[it][at] / lengths[it] } / features.size
            },
        )
    }

    private fun waves(function: (Double) -> Double) = Array(rules.amplitudes) { wave ->
        DoubleArray(rules.samples) { function(2 * Math.PI / rules.samples * (it * (wave + 1))) }
    }

    /** Of each axis its mean, then its amplitudes, g. */
    private fun spectrum(samples: Array<FloatArray>) = samples.flatMap { row ->
        val amplitudes = cosines.indices.map { wave -> length(along(row, cosines[wave]), along(row, sines[wave]), 0.0) }
        listOf(row.sumOf { it.toDouble() } / row.size) + amplitudes.map { it * 2 / row.size }
    }.toDoubleArray()

    private fun along(row: FloatArray, wave: DoubleArray): Double {
        var sum = 0.0
        for (at in row.indices) sum += row[at] * wave[at]
        return sum
    }
}

private fun norm(values: DoubleArray): Double {
    var square = 0.0
    for (value in values) square += value * value
    return sqrt(square)
}
