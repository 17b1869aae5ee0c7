// Records a stretch of the running source, after a countdown.

const COUNTDOWN_S = 3;

// Gives {time, xyz} as the source gave them. state: shows a sentence; bar: shows how much is done.
export async function recordStretch(source, seconds, { state, bar }) {
  const say = (text) => (state.textContent = text);
  const progress = (share) => {
    bar.style.setProperty("--share", share);
    bar.parentElement.hidden = share === 0;
  };
  for (let left = COUNTDOWN_S; left > 0; left--) {
    say(`get ready: ${left}`);
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
  if (!source.isRunning) throw new Error("The source has stopped.");
  navigator.vibrate?.(150);
  const recording = { time: [], xyz: [] };
  const beganMs = performance.now();
  source.tap = (when, xyz) => {
    recording.time.push(when);
    recording.xyz.push(xyz);
  };
  try {
    for (let share = 0; share < 1; ) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      if (!source.isRunning) throw new Error("The source has stopped; nothing was kept.");
      share = Math.min(1, (performance.now() - beganMs) / 1000 / seconds);
      progress(share);
      say(`recording: ${Math.ceil(seconds * (1 - share))} s left`);
    }
  } finally {
    source.tap = null;
    progress(0);
  }
  navigator.vibrate?.([80, 80, 80]);
  if (recording.time.length < 20) throw new Error(`Only ${recording.time.length} samples came; nothing was kept.`);
  return recording;
}

// A number of seconds, or an Error whose message is a sentence.
export function secondsOf(input) {
  const seconds = Number(input.value);
  if (!(seconds >= 3 && seconds <= 600)) throw new Error("Record between 3 and 600 seconds.");
  return seconds;
}
