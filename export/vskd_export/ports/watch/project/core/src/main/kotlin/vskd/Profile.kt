package vskd

import kotlin.math.abs
import kotlin.math.max
import kotlin.math.sqrt

/** One recording of an activity by the wearer, as a rounded [feature]. */
class Example(val label: String, val feature: ByteArray)

/** The wearer's examples, and how they decide with the network; see `vskd/wearer`. A changed profile is another one. */
class Profile(private val rules: Rules, examples: List<Example>) {
    init {
        require(examples.size <= rules.examples) { "the profile has ${examples.size} examples, and this code holds ${rules.examples}" }
        require(examples.map { it.feature.size }.toSet().size <= 1) { "the examples are of different models" }
    }

    val size = examples.size
    private val features = Features(rules)

    /** The contract's, then those that only the examples know. */
    val labels: List<String> = (rules.labels + examples.map { it.label }).distinct()

    /** Label by label. */
    private val examples = examples.sortedBy { labels.indexOf(it.label) }
    private val lengths = DoubleArray(size) { sqrt(dot(this.examples[it].feature, this.examples[it].feature)) }
    private val activities = this.examples.indices.groupBy { labels.indexOf(this.examples[it].label) }
        .map { (label, rows) -> Activity(label, rows) }

    private inner class Activity(val label: Int, val rows: List<Int>) {
        private val fitted = minOf(rows.size, rules.exampleLogits.size) - 1
        private val perLength = 1 / max(sqrt(rows.sumOf { a -> rows.sumOf { b -> cosine(examples[a].feature, b) } }), rules.nothing)

        fun score(cosines: DoubleArray): Double =
            if (rules.usesMeans) rows.sumOf { cosines[it] * perLength } else rows.maxOf { cosines[it] }

        fun mixed(value: Double, top: Double, cosines: DoubleArray): Double = top +
            rules.exampleLogits[fitted] * (value - top) +
            rules.exampleWeights[fitted] * (score(cosines) - rules.exampleNeutral[fitted])
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
        for (activity in activities) into[activity.label] = activity.mixed(into[activity.label], top, cosines)
        return cosines.max()
    }

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
    fun of(answer: Answer, samples: Array<FloatArray>): FloatArray {
        val embedding = requireNotNull(answer.embedding) { "the model gives no embedding, by which examples are compared" }
        if (rules.spectrum == 0.0) return embedding
        val own = embedding.toDoubles()
        val beside = spectrum(samples)
        val ofOwn = sqrt(1 - rules.spectrum) / max(norm(own), rules.shortest)
        val ofBeside = sqrt(rules.spectrum) / max(norm(beside), rules.shortest)
        return FloatArray(own.size + beside.size) {
            if (it < own.size) (own[it] * ofOwn).toFloat() else (beside[it - own.size] * ofBeside).toFloat()
        }
    }

    /** As integers within the full range; null where it says nothing. */
    fun rounded(feature: FloatArray): ByteArray? {
        val largest = feature.maxOf { abs(it) }
        if (!(rules.nothing < largest && largest < Float.POSITIVE_INFINITY)) return null
        val factor = rules.full.toFloat() / largest
        return ByteArray(feature.size) { Math.rint((feature[it] * factor).toDouble()).toInt().toByte() }
    }

    /** One example of the features of its windows: their mean at unit length, rounded; null where they say nothing. */
    fun exampleOf(features: List<FloatArray>): ByteArray? {
        val lengths = features.map { norm(it.toDoubles()) }
        if (features.isEmpty() || !lengths.all { it > rules.nothing && it.isFinite() }) return null
        return rounded(
            FloatArray(features[0].size) { at ->
                (features.indices.sumOf { features[it][at] / lengths[it] } / features.size).toFloat()
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
