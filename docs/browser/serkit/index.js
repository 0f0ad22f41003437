// Emotions in speech, in the browser: a serkit bundle in ONNX Runtime Web. Nothing is sent anywhere.
import { mono, resample, voicedSeconds } from "./audio.js";
import { Stream } from "./stream.js";

const MIN_VOICE = 0.5; // s; an answer for less is called short

/** The colour of each emotion, as in the rest of serkit. */
export const COLOURS = Object.freeze({
  neutral: "#8C8C8C",
  calm: "#56B4E9",
  happy: "#F0C808",
  sad: "#0072B2",
  angry: "#D55E00",
  fearful: "#7B4FA3",
  disgust: "#009E73",
  surprised: "#E78AC3",
});

/** Load the bundle in the folder at `url`. */
export async function load(url, { runtime, wasm } = {}) {
  const ort = runtime ?? (await import("onnxruntime-web/wasm"));
  if (wasm) ort.env.wasm.wasmPaths = wasm;
  ort.env.wasm.numThreads = 1; // more need cross-origin isolation
  const folder = new URL(String(url).replace(/\/?$/, "/"), globalThis.document?.baseURI);
  const manifest = await (await fetched(new URL("manifest.json", folder))).json();
  if (manifest.format_version !== 1 || manifest.input?.kind !== "waveform") {
    throw new Error(
      `The bundle has format ${manifest.format_version} and takes ${manifest.input?.kind}; ` +
        "the browser runs bundles of format 1 that take a waveform.",
    );
  }
  const graph = await (await fetched(new URL("model.onnx", folder))).arrayBuffer();
  const session = await ort.InferenceSession.create(new Uint8Array(graph), { executionProviders: ["wasm"] });
  return new Recognizer(manifest, session, ort.Tensor);
}

async function fetched(address) {
  const response = await fetch(address);
  if (!response.ok) throw new Error(`${address} could not be loaded: the server says ${response.status}.`);
  return response;
}

/** A loaded model. */
export class Recognizer {
  #session;
  #Tensor;
  #turn = Promise.resolve();

  constructor(manifest, session, Tensor) {
    this.manifest = manifest;
    this.#session = session;
    this.#Tensor = Tensor;
  }

  get labels() {
    return this.manifest.labels;
  }

  get sampleRate() {
    return this.manifest.input.sample_rate;
  }

  /** Answer one recording: samples, an AudioBuffer, or a Blob that the browser can decode. */
  async predict(source, { sampleRate = this.sampleRate, minConfidence, detectSpeech = true } = {}) {
    const [samples, rate] = await this.#read(source, sampleRate);
    const { min_seconds: least, max_seconds: most } = this.manifest.input;
    const duration = samples.length / rate;
    if (duration < least) {
      throw new RangeError(`The recording lasts ${duration.toFixed(3)} s; the model needs at least ${least} s.`);
    }
    if (!samples.every(Number.isFinite)) throw new RangeError("The samples must be finite numbers.");
    const block = Math.round(most * rate);
    const parts = [];
    for (let start = 0; start < samples.length; start += block) {
      const piece = samples.subarray(start, start + block);
      if (piece.length / rate < least) continue; // the rest of a long recording
      const wave = resample(piece, rate, this.sampleRate);
      const voice = detectSpeech ? voicedSeconds(wave, this.sampleRate) : wave.length / this.sampleRate;
      if (voice > 0) parts.push({ voice, ...(await this.#run(wave)) });
    }
    return this.#answer(parts, duration, minConfidence ?? this.manifest.min_confidence ?? 0);
  }

  /** Answer live sound: see Stream. */
  stream(options) {
    return new Stream(this, options);
  }

  async #read(source, sampleRate) {
    if (source instanceof Float32Array) return [source, sampleRate];
    if (globalThis.AudioBuffer && source instanceof AudioBuffer) return [channelOf(source), source.sampleRate];
    if (source instanceof Blob) {
      const context = new OfflineAudioContext(1, 1, this.sampleRate); // decodes at the model's rate
      try {
        return [channelOf(await context.decodeAudioData(await source.arrayBuffer())), this.sampleRate];
      } catch (cause) {
        throw new TypeError("The browser cannot decode this file: try WAV, MP3, M4A, Ogg or FLAC.", { cause });
      }
    }
    throw new TypeError(`predict takes a Float32Array, an AudioBuffer or a Blob, got ${typeof source}.`);
  }

  async #run(wave) {
    const feed = { waveform: new this.#Tensor("float32", wave, [1, wave.length]) };
    const names = this.manifest.familiarity?.distances ? ["probabilities", "distance"] : ["probabilities"];
    const turn = this.#turn.then(() => this.#session.run(feed, names)); // a session runs one answer at a time
    this.#turn = turn.catch(() => {});
    const found = await turn;
    const distance = found.distance ? this.#familiarity(found.distance.data[0]) : null;
    return { probabilities: Array.from(found.probabilities.data), familiarity: distance };
  }

  #familiarity(distance) {
    const nearer = this.manifest.familiarity.distances;
    const high = nearer.findIndex((value) => value > distance);
    if (high === 0) return 1;
    if (high < 0) return 0;
    const [low, up] = [nearer[high - 1], nearer[high]];
    return 1 - (high - 1 + (distance - low) / (up - low)) / (nearer.length - 1);
  }

  #answer(parts, duration, least) {
    const voice = parts.reduce((sum, part) => sum + part.voice, 0);
    const start = 0;
    const end = duration;
    if (!parts.length) {
      return {
        start, end, emotion: null, confidence: null, familiarity: null, probabilities: {}, speech: false,
        unsure: false, warnings: [],
      };
    }
    const mean = (value) => parts.reduce((sum, part) => sum + part.voice * value(part), 0) / voice;
    const values = this.labels.map((_, k) => mean((part) => part.probabilities[k]));
    const confidence = Math.max(...values);
    const familiarity = parts[0].familiarity === null ? null : mean((part) => part.familiarity);
    const unsure = confidence < least;
    const warnings = voice < MIN_VOICE ? ["short"] : [];
    if (familiarity !== null && familiarity < this.manifest.familiarity.unfamiliar) warnings.push("unfamiliar");
    return {
      start, end, emotion: unsure ? null : this.labels[values.indexOf(confidence)], confidence, familiarity,
      probabilities: Object.fromEntries(this.labels.map((label, k) => [label, values[k]])), speech: true, unsure,
      warnings,
    };
  }
}

function channelOf(buffer) {
  return mono(Array.from({ length: buffer.numberOfChannels }, (_, k) => buffer.getChannelData(k)));
}
