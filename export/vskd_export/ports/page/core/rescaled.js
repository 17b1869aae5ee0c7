// Integers times multiplier / 2^31 * 2^shift, rounded twice. The product has up to 62 bits: it is made of two halves,
// each of which a number holds exactly.
export function rescaled(value, multiplier, shift) {
  const shifted = shift > 0 ? value * 2 ** shift : value;
  const upper = Math.floor(shifted / 32768);
  const above = upper * multiplier;
  const carried = Math.floor(above / 65536);
  const rest = (above - carried * 65536) * 32768 + (shifted - upper * 32768) * multiplier;
  const high = carried + Math.floor((rest + 1073741824) / 2147483648);
  if (shift >= 0) return high;
  const right = -shift;
  const mask = 2 ** right - 1;
  return (high >> right) + ((high & mask) > (mask >> 1) + (high < 0) ? 1 : 0);
}
