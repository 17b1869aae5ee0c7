// Recorded clips as the files of a data set "folder": dataset.toml, clips.csv and one CSV of samples for each clip.

// A clip: {label, subject, placement, gravity, whenMs, time: [ms], xyz: [[m/s^2]]}.
export function samplesText({ time, xyz }) {
  const rows = time.map((when, i) => [((when - time[0]) / 1000).toFixed(6), ...xyz[i].map((value) => value.toFixed(6))].join());
  return ["time_s,ax,ay,az", ...rows, ""].join("\n");
}

export function dataSet(clips) {
  const names = clips.map(clipName);
  const files = {
    "dataset.toml": description(clips[0]),
    "clips.csv": ["clip,subject,label,sensor", ...clips.map((clip, i) => row(clip, names[i])), ""].join("\n"),
  };
  clips.forEach((clip, i) => (files[`sensors/${names[i]}.csv`] = samplesText(clip)));
  return files;
}

function description({ placement, gravity }) {
  return [
    'name = "phone"',
    'unit = "m/s^2"',
    `gravity = ${gravity}`,
    `placement = ${JSON.stringify(placement)}`,
    "",
  ].join("\n");
}

const cell = (text) => (/[",#\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
const row = (clip, name) => [name, cell(clip.subject), cell(clip.label), `sensors/${name}.csv`].join();

// A name of letters, digits and lines; the number keeps it apart from the others.
function clipName({ subject, label, whenMs }, number) {
  const plain = (text) => text.normalize("NFKD").replace(/[^a-zA-Z0-9]+/g, "-").replace(/^-+|-+$/g, "") || "x";
  const when = new Date(whenMs).toISOString().replace(/\D/g, "").slice(0, 14);
  return `${plain(subject)}_${plain(label)}_${when}_${number + 1}`;
}
