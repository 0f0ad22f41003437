// The glue between Streamlit and wavesurfer.js: one waveform for each track, a region for each segment, and the sound
// of the <audio> element that Streamlit draws below it.

const HEIGHT = 128; // pixels of the only waveform
const ROW = 72; // pixels of each of several
const MOST = 150; // pixels a second, fully zoomed in
const STEP = 5; // seconds of an arrow key

function clock(seconds, tenths) {
  const units = Math.round(seconds * (tenths ? 10 : 1)), whole = Math.floor(units / (tenths ? 10 : 1));
  const two = (n) => String(n).padStart(2, "0");
  const hours = Math.floor(whole / 3600), minutes = Math.floor(whole / 60) % 60;
  return `${hours ? `${hours}:${two(minutes)}` : minutes}:${two(whole % 60)}${tenths ? `.${units % 10}` : ""}`;
}

function fill(kind, colour, alpha) {
  if (kind === "unsure") return `repeating-linear-gradient(45deg, ${colour}${alpha} 0 4px, transparent 4px 8px)`;
  return kind === "none" ? "none" : `linear-gradient(${colour}${alpha}, ${colour}${alpha})`;
}

class Player {
  constructor(root) {
    this.root = root;
    this.wave = root.querySelector(".wave");
    this.zoom = root.querySelector(".zoom");
    this.zoom.oninput = () => this.zoomed();
    this.wave.onkeydown = (event) => this.key(event);
    this.watch = new MutationObserver(() => { if (this.sound() && this.sound() !== this.audio) this.attach(); });
    this.sought = null;
  }

  show(data) {
    this.data = data;
    if (this.sought === null) this.sought = data.seek.count; // what was asked for before this page was opened
    this.watch.observe(document.body, { childList: true, subtree: true });
    this.attach();
  }

  sound() {
    return this.data.playable ? document.querySelector(`.st-key-${this.data.sound} audio`) : null;
  }

  // Streamlit draws the sound after this component, and may draw it anew
  attach() {
    const audio = this.sound();
    if (this.data.playable && !audio) return;
    if (this.surfer && this.made === this.data.key && this.audio === audio) {
      this.update();
      return;
    }
    this.close();
    this.audio = audio;
    this.made = this.data.key;
    this.drawn = null;
    this.open();
  }

  open() {
    const { duration, peaks, tracks, names } = this.data;
    const ink = getComputedStyle(this.wave).color;
    const height = peaks.length > 1 ? ROW : HEIGHT;
    const row = { overlay: false, height, waveColor: ink, progressColor: ink };
    this.regions = WaveSurfer.Regions.create();
    this.surfer = WaveSurfer.create({
      container: this.wave, height, duration, peaks: peaks.map((peak) => peak.map((value) => value / 200)),
      ...(this.audio ? { media: this.audio } : {}), splitChannels: peaks.length > 1 ? peaks.map(() => row) : undefined,
      waveColor: ink, progressColor: ink, cursorColor: getComputedStyle(this.wave).getPropertyValue("--st-primary-color") || ink,
      cursorWidth: 2, dragToSeek: true, interact: Boolean(this.audio), normalize: true,
      plugins: [this.regions, WaveSurfer.Timeline.create({ height: 22, formatTimeCallback: (s) => clock(s), secondaryLabelOpacity: 1 })],
    });
    this.regions.on("region-created", (region) => this.paint(region));
    this.surfer.on("ready", () => { this.ready = true; this.update(); });
    this.surfer.on("timeupdate", (time) => this.tell(time));
    this.surfer.on("interaction", () => this.surfer.play().catch(() => {}));
    this.wave.setAttribute("aria-valuemax", String(Math.round(duration)));
    this.names(names);
    this.legend();
    this.tell(0);
  }

  // The name of each track at its left edge
  names(names) {
    this.wave.querySelectorAll(".name").forEach((one) => one.remove());
    if (names.length < 2) return;
    names.forEach((name, k) => {
      const one = document.createElement("div");
      one.className = "name";
      one.textContent = name;
      Object.assign(one.style, {
        position: "absolute", left: "4px", top: `${ROW * k + 2}px`, zIndex: 6, pointerEvents: "none", fontSize: "0.8rem",
        padding: "0 4px", borderRadius: "3px", background: "var(--st-background-color)",
      });
      this.wave.append(one);
    });
  }

  update() {
    if (!this.ready) return;
    const parts = JSON.stringify(this.data.tracks);
    if (parts !== this.drawn) {
      this.drawn = parts;
      this.regions.clearRegions();
      this.data.tracks.forEach((track, k) => track.forEach((part, n) => this.regions.addRegion({
        id: `${k} ${n}`, start: part.start, end: part.end, drag: false, resize: false, color: "transparent",
        ...(this.data.tracks.length > 1 ? { channelIdx: k } : {}),
      })));
      this.legend();
      this.tell(this.surfer.getCurrentTime());
    }
    if (this.data.seek.count !== this.sought) {
      this.sought = this.data.seek.count;
      this.seek(this.data.seek.time);
    }
  }

  paint(region) {
    const [k, n] = region.id.split(" ").map(Number), part = this.data.tracks[k][n];
    const { style } = region.element;
    const several = this.data.tracks.length > 1;
    style.top = `${several ? ROW * k : 0}px`;
    style.height = `${several ? ROW : HEIGHT}px`; // the times below stay free
    style.backgroundImage = `${fill(part.kind, part.colour, "ff")}, ${fill(part.kind, part.colour, "55")}`;
    style.backgroundSize = "100% 10px, 100% 100%";
    style.backgroundPosition = "0 100%, 0 0";
    style.backgroundRepeat = "no-repeat";
    region.element.title = `${clock(part.start, true)} to ${clock(part.end, true)}: ${part.says}`;
  }

  legend() {
    const box = this.root.querySelector(".legend");
    box.replaceChildren(...this.data.legend.map(({ label, colour, kind }) => {
      const item = document.createElement("span"), mark = document.createElement("i");
      item.setAttribute("role", "listitem");
      mark.style.backgroundImage = fill(kind, colour, "ff");
      if (kind !== "named") mark.style.border = `1px solid ${colour}`;
      item.append(mark, label);
      return item;
    }));
  }

  tell(time) {
    const said = this.data.tracks.map((track, k) => {
      const part = track.find(({ start, end }) => start <= time && time < end);
      const name = this.data.names.length > 1 ? `${this.data.names[k]}: ` : "";
      return `${name}${part ? part.says : "no speech"}`;
    });
    const text = `${clock(time, true)} of ${clock(this.data.duration)} · ${said.join(" · ")}`;
    this.root.querySelector(".now").textContent = text;
    this.wave.setAttribute("aria-valuenow", String(Math.round(time)));
    this.wave.setAttribute("aria-valuetext", text);
  }

  zoomed() {
    if (!this.ready) return;
    const least = this.surfer.getWidth() / this.data.duration, most = Math.max(MOST, least);
    this.surfer.zoom(least * (most / least) ** Number(this.zoom.value));
  }

  seek(time) {
    if (!this.audio) return;
    this.surfer.setTime(Math.min(Math.max(time, 0), this.data.duration));
    this.surfer.play().catch(() => {}); // a browser may want a click first
  }

  key(event) {
    const moves = { ArrowLeft: -STEP, ArrowRight: STEP };
    if (!this.ready || !this.audio) return;
    if (event.key in moves) this.surfer.setTime(Math.max(this.surfer.getCurrentTime() + moves[event.key], 0));
    else if (event.key === " " || event.key === "Enter") this.surfer.playPause();
    else return;
    event.preventDefault();
  }

  close() {
    this.ready = false;
    if (this.surfer) this.surfer.destroy();
    this.surfer = null;
  }
}

export default function ({ data, parentElement }) {
  const player = parentElement.player ?? (parentElement.player = new Player(parentElement));
  player.show(data);
  // Streamlit tidies up before each new draw too, and the player lives on then
  return () => setTimeout(() => {
    if ((parentElement.host ?? parentElement).isConnected) return;
    player.watch.disconnect();
    player.close();
    delete parentElement.player;
  });
}
