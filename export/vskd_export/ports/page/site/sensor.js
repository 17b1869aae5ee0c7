// The phone's own accelerometer: DeviceMotion.

// Why this browser gives no motion; empty where it may.
export function motionProblem() {
  if (!window.isSecureContext)
    return (
      "Browsers give motion to secure pages only, and this one came over plain http from another machine. " +
      "Start it with: vskd serve BUNDLE --host 0.0.0.0 --https, or put the files on an https server."
    );
  return "DeviceMotionEvent" in window ? "" : "This browser has no motion sensor. Open a CSV file instead.";
}

// iOS gives the opposite of the W3C's signs: at rest on a table z is -1 g there.
export function usualAxes() {
  const isApple = /iPhone|iPad|iPod/.test(navigator.userAgent) || (/Mac/.test(navigator.platform) && navigator.maxTouchPoints > 1);
  return isApple ? "-x,-y,-z" : "x,y,z";
}

// Calls take(time_ms, [x, y, z]) with m/s^2 until the function that it gives is called. Ask after a tap.
export async function listen({ gravity, take }) {
  if (typeof DeviceMotionEvent.requestPermission === "function") {
    const answer = await DeviceMotionEvent.requestPermission();
    if (answer !== "granted") throw new Error("The browser did not allow motion. Allow it in the page's settings.");
  }
  const onMotion = (event) => {
    const reading = gravity ? event.accelerationIncludingGravity : event.acceleration;
    if (!reading || (reading.x === null && reading.y === null && reading.z === null)) return;
    take(event.timeStamp, [reading.x ?? NaN, reading.y ?? NaN, reading.z ?? NaN]);
  };
  window.addEventListener("devicemotion", onMotion);
  const lock = await navigator.wakeLock?.request("screen").catch(() => null); // it may be refused: the battery is low
  return () => {
    window.removeEventListener("devicemotion", onMotion);
    lock?.release();
  };
}
