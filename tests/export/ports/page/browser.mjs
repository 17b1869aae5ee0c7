// Drives the page in headless Chromium for the tests: browser.mjs PLAYWRIGHT CHROMIUM, then a job (JSON) on each line of
// standard input, its answer on a line of output. A job opens the page afresh: {job, url, ...}.

import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [playwright, executablePath] = process.argv.slice(2);
const { chromium } = (await import(pathToFileURL(playwright + "/index.js"))).default;
const args = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"];
const browser = await chromium.launch({ executablePath, args });

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function opened(context, url) {
  const page = await context.newPage();
  page.said = [];
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && page.said.push(message.text()));
  page.on("pageerror", (error) => page.said.push(String(error)));
  await page.goto(url);
  await page.waitForSelector("body[data-ready]", { timeout: 60_000 });
  return page;
}

const events = (page) =>
  page.$$eval("#log li", (rows) =>
    rows.map(({ dataset: { label, start, end } }) => ({ label, start: Number(start), end: Number(end) })).reverse(),
  );

async function playFile(page, { file, unit = "g", layout = "" }) {
  await page.evaluate(() => (document.getElementById("sensor-settings").open = true));
  await page.fill("#layout", layout);
  await page.selectOption("#unit", unit);
  await page.setInputFiles("#file", file);
  await page.waitForFunction(() => document.getElementById("source-state").textContent.includes("at its end") || !document.getElementById("trouble").hidden, null, { timeout: 120_000 });
}

// Readings [[x, y, z]], m/s^2, handed to the browser's sensors one after another; what the page was given of them.
async function sensors(page, context, readings, everyMs) {
  const cdp = await context.newCDPSession(page);
  for (const type of ["accelerometer", "linear-acceleration", "gyroscope"])
    await cdp.send("Emulation.setSensorOverrideEnabled", { enabled: true, type });
  const set = (type, [x, y, z]) => cdp.send("Emulation.setSensorOverrideReadings", { type, reading: { xyz: { x, y, z } } });
  await Promise.all(["accelerometer", "linear-acceleration", "gyroscope"].map((type) => set(type, readings[0])));
  // What the page's own listener is given is kept for the test.
  await page.evaluate(() => {
    window.heard = [];
    const [add, remove] = [window.addEventListener, window.removeEventListener].map((one) => one.bind(window));
    const listeners = new Map();
    window.addEventListener = (type, take, ...rest) => {
      if (type !== "devicemotion") return add(type, take, ...rest);
      listeners.set(take, (event) => {
        const { x, y, z } = event.accelerationIncludingGravity;
        if (x !== null) window.heard.push([event.timeStamp, x, y, z]);
        take(event);
      });
      return add(type, listeners.get(take));
    };
    window.removeEventListener = (type, take, ...rest) => remove(type, listeners.get(take) ?? take, ...rest);
  });
  await page.click("#start-sensor");
  return async () => {
    for (const reading of readings) {
      await set("accelerometer", reading);
      await pause(everyMs);
    }
  };
}

const jobs = {
  async file({ context, url, file, unit, layout }) {
    const page = await opened(context, url);
    await playFile(page, { file, unit, layout });
    const trouble = await page.$eval("#trouble", (part) => (part.hidden ? "" : part.textContent));
    return { events: await events(page), trouble, said: page.said, facts: await page.$eval("#facts", (part) => part.innerText) };
  },

  async sensor({ context, url, readings, everyMs }) {
    const page = await opened(context, url);
    const feed = await sensors(page, context, readings, everyMs);
    await feed();
    await page.click("#stop");
    await page.waitForFunction(() => document.getElementById("source-state").textContent === "stopped", null, { timeout: 120_000 });
    const heard = await page.evaluate(() => window.heard);
    return { heard, events: await events(page), said: page.said };
  },

  async live({ context, url }) {
    const page = await opened(context, url);
    await page.click("#start-live");
    await page.waitForFunction(() => document.getElementById("source-state").textContent.includes("has ended"), null, { timeout: 120_000 });
    return { events: await events(page), said: page.said };
  },

  // The same page, not secure to the browser.
  async insecure({ context, url }) {
    await context.addInitScript(() => Object.defineProperty(window, "isSecureContext", { value: false }));
    const page = await opened(context, url);
    await page.click("#start-sensor");
    await page.waitForSelector("#trouble:not([hidden])");
    return { trouble: await page.$eval("#trouble", (part) => part.textContent) };
  },

  async offline({ context, url, file }) {
    const page = await opened(context, url);
    await page.waitForSelector("body[data-offline]", { timeout: 60_000 });
    const note = await page.$eval("#offline-note", (part) => part.textContent);
    await context.setOffline(true);
    await page.reload();
    await page.waitForSelector("body[data-ready]", { timeout: 60_000 });
    await playFile(page, { file });
    return { note, events: await events(page), said: page.said };
  },

  // A clip and an example, recorded from the sensor; the clip goes to the server, and both into files.
  async record({ context, url, readings, everyMs, out, profile }) {
    const page = await opened(context, url);
    const feed = await sensors(page, context, readings, everyMs);
    const fed = feed();
    const saved = async (button, name) => {
      const [download] = await Promise.all([page.waitForEvent("download"), page.click(button)]);
      await download.saveAs(`${out}/${name}`);
    };
    await page.click("nav a[data-tab=record]");
    await page.fill("#clip-label", "swing, slow");
    await page.fill("#clip-subject", "ann");
    await page.fill("#clip-seconds", "4");
    await page.click("#record-clip");
    await page.waitForFunction(() => document.getElementById("clip-state").textContent.startsWith("kept"), null, { timeout: 30_000 });
    await saved("#clips-zip", "recordings.zip");
    await page.click("#clips-save");
    await page.waitForFunction(() => /saved|server/.test(document.getElementById("clips-state").textContent), null, { timeout: 10_000 });
    const state = await page.$eval("#clips-state", (part) => part.textContent);
    await page.click("nav a[data-tab=examples]");
    await page.fill("#example-label", "hop");
    await page.fill("#example-seconds", "5");
    await page.click("#record-example");
    await page.waitForFunction(() => /kept|no |not /.test(document.getElementById("example-state").textContent), null, { timeout: 30_000 });
    const example = await page.$eval("#example-state", (part) => part.textContent);
    await saved("#profile-export", "wearer.profile");
    await page.reload();
    await page.waitForSelector("body[data-ready]");
    const kept = await page.$$eval("#example-list li", (rows) => rows.map((row) => row.textContent));
    await page.evaluate(() => (location.hash = "#examples"));
    await page.click("#example-list button");
    await page.setInputFiles("#profile-file", `${out}/wearer.profile`);
    await page.waitForFunction(() => document.getElementById("example-state").textContent.includes("added"));
    await page.setInputFiles("#profile-file", profile);
    await page.waitForFunction(() => document.getElementById("example-state").textContent.startsWith("3 examples"));
    const added = await page.$$eval("#example-list li", (rows) => rows.map((row) => row.textContent));
    await fed;
    return { state, example, kept, added, said: page.said };
  },

  async screens({ url, file, out }) {
    for (const [name, viewport, scheme] of [
      ["phone-light", { width: 360, height: 780 }, "light"],
      ["phone-dark", { width: 360, height: 780 }, "dark"],
      ["desktop-light", { width: 1280, height: 860 }, "light"],
      ["desktop-dark", { width: 1280, height: 860 }, "dark"],
    ]) {
      const context = await browser.newContext({ viewport, colorScheme: scheme, deviceScaleFactor: 2 });
      const page = await opened(context, url);
      await page.waitForSelector("body[data-offline]");
      await playFile(page, { file });
      await page.evaluate(() => (document.getElementById("sensor-settings").open = false));
      for (const tab of ["live", "record", "examples", "about"]) {
        await page.click(`nav a[data-tab=${tab}]`);
        await pause(400);
        await page.screenshot({ path: `${out}/${name}-${tab}.png`, fullPage: tab === "live" });
      }
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      if (wide > 0) throw new Error(`${name} is ${wide} pixels too wide`);
      await context.close();
    }
    return {};
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { job, ...rest } = JSON.parse(line);
  const context = await browser.newContext({ ignoreHTTPSErrors: true, acceptDownloads: true, ...rest.browser });
  try {
    process.stdout.write(JSON.stringify(await jobs[job]({ context, ...rest })) + "\n");
  } catch (error) {
    process.stdout.write(JSON.stringify({ failed: String(error.stack) }) + "\n");
  }
  await context.close();
}
await browser.close();
