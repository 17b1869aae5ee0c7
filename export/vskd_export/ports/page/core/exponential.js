// exp in float64, from sums and products alone, so that every language computes the same bits; the formula is stated in
// vskd_export/ports/rules.py.

// The function, for x of 0 or less.
export function exponential(rules) {
  const { exp_least: least, exp_log2_e: log2E, exp_ln2_high: high, exp_ln2_low: low, exp_terms: terms } = rules;
  return (x) => {
    if (x < least) return 0;
    const n = Math.floor(x * log2E + 0.5);
    const r = x - n * high - n * low;
    let p = terms[0];
    for (let k = 1; k < terms.length; k++) p = p * r + terms[k];
    return p * 2 ** n;
  };
}
