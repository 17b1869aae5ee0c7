// exp and tanh in float32, every operation rounded: vskd/plan/float32.py.

const f = Math.fround;
const PER_LN2 = f(1.44269504);
const LN2_HIGH = f(0.693359375);
const LN2_LOW = f(-2.1219444e-4);
const POLYNOMIAL = [720, -120, 24, -6, 2, -1, 1].map((factorial) => f(1 / factorial));
const LARGEST = 87;

// e^-x for x of 0 or more.
export function decay(x) {
  if (x > LARGEST) return 0;
  const periods = Math.floor(f(f(x * PER_LN2) + 0.5));
  const rest = f(f(x - f(periods * LN2_HIGH)) - f(periods * LN2_LOW));
  let total = POLYNOMIAL[0];
  for (let k = 1; k < POLYNOMIAL.length; k++) total = f(f(total * rest) + POLYNOMIAL[k]);
  return f(total * 2 ** -periods);
}

export function tanh(x) {
  const square = decay(f(2 * Math.abs(x)));
  const magnitude = f(f(1 - square) / f(1 + square));
  return x < 0 ? -magnitude : magnitude;
}
