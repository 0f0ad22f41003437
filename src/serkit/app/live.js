// Sends the microphone's sound to the page's server twice a second. One message is under way at a time, and each begins
// where the server said that it stopped hearing, so that nothing is lost or heard twice.
const PATIENCE = 3000; // ms; then what was sent is sent again
const MOST = 20; // s of one message

const WORKLET = `registerProcessor("tap", class extends AudioWorkletProcessor {
  process([[channel]]) { if (channel) this.port.postMessage(channel.slice()); return true; }
});`;

function packed(pieces) {
  const bytes = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0) * 2);
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const piece of pieces) {
    for (const value of piece) {
      view.setInt16(at, Math.max(-32768, Math.min(32767, Math.round(value * 32767))), true);
      at += 2;
    }
  }
  let text = "";
  for (let k = 0; k < bytes.length; k += 32768) text += String.fromCharCode(...bytes.subarray(k, k + 32768));
  return btoa(text);
}

async function start(live) {
  live.stream = await navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: false, noiseSuppression: false } });
  live.context = new AudioContext();
  await live.context.audioWorklet.addModule(URL.createObjectURL(new Blob([WORKLET], { type: "text/javascript" })));
  const tap = new AudioWorkletNode(live.context, "tap");
  tap.port.onmessage = event => { if (live.on) live.pieces.push(event.data); };
  live.context.createMediaStreamSource(live.stream).connect(tap);
  Object.assign(live, { on: true, ended: false, session: String(Date.now() + Math.random()), from: 0, pieces: [], sent: 0 });
  live.timer = setInterval(() => send(live), 500);
}

function stop(live) {
  live.on = false;
  live.stream?.getTracks().forEach(track => track.stop());
  live.context?.close();
  live.context = live.stream = null;
}

function send(live) {
  if (live.sent && Date.now() - live.sent < PATIENCE) return;
  const most = MOST * (live.rate ?? 48000);
  const pieces = [];
  for (let count = 0, k = 0; k < live.pieces.length && count < most; k += 1) {
    pieces.push(live.pieces[k]);
    count += live.pieces[k].length;
  }
  if (!pieces.length && live.on) return;
  live.rate = live.context?.sampleRate ?? live.rate;
  live.sent = Date.now();
  live.tell("sound", {
    session: live.session, from: live.from, rate: live.rate, pcm: packed(pieces), last: !live.on && pieces.length === live.pieces.length,
  });
}

function heard(live, data) {
  if (!data || data.session !== live.session) return;
  live.sent = 0;
  while (live.pieces.length && live.from + live.pieces[0].length <= data.heard) live.from += live.pieces.shift().length;
  if (data.finished) clearInterval(live.timer);
}

export default function ({ parentElement, data, setTriggerValue }) {
  const button = parentElement.querySelector("button"), problem = parentElement.querySelector("p");
  const live = (button.live ??= { on: false, pieces: [], from: 0, sent: 0 });
  live.tell = setTriggerValue;
  const show = () => { button.textContent = live.on ? "Stop listening" : "Speak"; button.setAttribute("aria-pressed", String(live.on)); };
  heard(live, data);
  button.onclick = async () => {
    problem.textContent = "";
    button.disabled = true;
    try {
      if (live.on) stop(live); else await start(live);
    } catch (error) {
      stop(live);
      problem.textContent = `The microphone cannot be opened (${error.message}).`;
    }
    button.disabled = false;
    show();
  };
  show();
  return () => { stop(live); clearInterval(live.timer); };
}
