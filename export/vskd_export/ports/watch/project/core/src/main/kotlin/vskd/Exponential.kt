package vskd

import kotlin.math.abs
import kotlin.math.floor
import kotlin.math.min
import kotlin.math.withSign

/** e^x for x of 0 or less, the same bits in every core; see `rules.py`. */
internal fun exponential(rules: Rules, x: Double): Double {
    if (x < rules.expLeast) return 0.0
    val periods = floor(x * rules.expLog2E + 0.5)
    val rest = (x - periods * rules.expLn2High) - periods * rules.expLn2Low
    val terms = rules.expTerms
    var total = terms[0]
    for (index in 1 until terms.size) total = total * rest + terms[index]
    return total * Double.fromBits((1023L + periods.toLong()) shl 52)
}

/** e^-x for x of 0 or more, in float32; see `vskd/plan/float32.py`. */
internal fun decay(x: Float): Float {
    if (x > LARGEST_DECAY) return 0f
    val bounded = min(x, LARGEST_DECAY)
    val periods = floor(bounded * PER_LN2 + 0.5f)
    val rest = (bounded - periods * LN2_HIGH) - periods * LN2_LOW
    var total = DECAY_TERMS[0]
    for (index in 1 until DECAY_TERMS.size) total = total * rest + DECAY_TERMS[index]
    return total * Float.fromBits((127 - periods.toInt()) shl 23)
}

internal fun tanh32(x: Float): Float {
    val square = decay(abs(x) + abs(x))
    return ((1f - square) / (1f + square)).withSign(x)
}
