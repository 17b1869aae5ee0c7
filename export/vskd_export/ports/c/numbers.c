/* ---- numbers: what IEEE 754 and the rules define, so that every machine finds the same bits ---- */

/* Beyond any time or length; stands for infinity. */
#define FOREVER DBL_MAX

static double size_of(double value)
{
    return (value < 0.0) ? -value : value;
}

static double smaller(double one, double other)
{
    return (other < one) ? other : one;
}

static double larger(double one, double other)
{
    return (other > one) ? other : one;
}

/* The square root, correctly rounded: digit by digit, of a value that is 0 or more. */
static double root(double value)
{
    uint64_t bits;
    uint64_t mantissa;
    uint64_t remainder = 0;
    uint64_t digits = 0;
    int32_t exponent;
    int32_t digit;
    double normal = value;
    double unit = 1.0;
    double result;

    if (!(value > 0.0)) {
        return 0.0;
    }
    if (value < DBL_MIN) { /* by 2^108, whose root is 2^54 */
        normal = value * 324518553658426726783156020576256.0;
        unit = 1.0 / 18014398509481984.0;
    }
    memcpy(&bits, &normal, sizeof bits);
    exponent = (int32_t)(bits >> 52) - 1023;
    mantissa = (bits & 0xFFFFFFFFFFFFFu) | 0x10000000000000u;
    if ((exponent % 2) != 0) {
        mantissa <<= 1;
        exponent -= 1;
    }
    /* 54 digits of the root of mantissa * 2^54, the last of which is for rounding: an exact half cannot be. */
    for (digit = 53; digit >= 0; digit--) {
        const uint64_t pair = (digit >= 27) ? ((mantissa >> (2 * (digit - 27))) & 3u) : 0u;
        const uint64_t trial = (digits << 2) | 1u;

        remainder = (remainder << 2) | pair;
        digits <<= 1;
        if (remainder >= trial) {
            remainder -= trial;
            digits |= 1u;
        }
    }
    digits = (digits + 1u) >> 1;
    bits = ((uint64_t)((exponent / 2) + 1022) << 52) + digits; /* the leading digit adds one to the exponent */
    memcpy(&result, &bits, sizeof result);
    return result * unit;
}

/* e^x for x <= 0, as wrist.h's numbers have it. */
static double exponential(double x)
{
    static const double terms[] = VSKD_EXP_TERMS;
    double whole;
    double rest;
    double sum = terms[0];
    double scale;
    uint64_t bits;
    int32_t power;
    uint32_t term;

    if (x < VSKD_EXP_LEAST) {
        return 0.0;
    }
    whole = (x * VSKD_EXP_LOG2_E) + 0.5;
    power = (int32_t)whole;
    if ((double)power > whole) {
        power -= 1;
    }
    rest = (x - ((double)power * VSKD_EXP_LN2_HIGH)) - ((double)power * VSKD_EXP_LN2_LOW);
    for (term = 1; term < (sizeof terms / sizeof terms[0]); term++) {
        sum = (sum * rest) + terms[term];
    }
    bits = (uint64_t)(power + 1023) << 52;
    memcpy(&scale, &bits, sizeof scale);
    return sum * scale;
}
