/** Live sound: an answer for the last seconds, about twice a second. */
export class Stream {
  #recognizer;
  #settings;
  #held;
  #filled = 0;
  #fresh = 0;
  #busy = false;
  #context = null;
  #microphone = null;

  constructor(recognizer, { sampleRate = recognizer.sampleRate, window = 3, every = 0.5, minConfidence, onAnswer, onError } = {}) {
    this.#recognizer = recognizer;
    this.#settings = { sampleRate, window, every, minConfidence, onAnswer, onError };
    this.#held = new Float32Array(Math.round(window * sampleRate));
  }

  /** Add samples. While an answer is being made, sound is kept and no further answer begins. */
  async feed(samples) {
    const { sampleRate, every, minConfidence, onAnswer, onError } = this.#settings;
    const held = this.#held;
    const added = samples.subarray(Math.max(0, samples.length - held.length));
    held.copyWithin(0, added.length);
    held.set(added, held.length - added.length);
    this.#filled = Math.min(held.length, this.#filled + added.length);
    this.#fresh += samples.length;
    if (this.#busy || this.#fresh < every * sampleRate) return;
    this.#busy = true;
    this.#fresh = 0;
    try {
      const heard = held.slice(held.length - this.#filled);
      onAnswer?.(await this.#recognizer.predict(heard, { sampleRate, minConfidence }));
    } catch (error) {
      if (!onError) throw error;
      onError(error);
    } finally {
      this.#busy = false;
    }
  }

  /** Listen to the microphone until `stop` is called. The browser asks the visitor first. */
  async listen() {
    this.#microphone = await navigator.mediaDevices.getUserMedia({
      audio: { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false },
    });
    this.#context = new AudioContext();
    this.#settings.sampleRate = this.#context.sampleRate;
    this.#held = new Float32Array(Math.round(this.#settings.window * this.#context.sampleRate));
    await this.#context.audioWorklet.addModule(new URL("./worklet.js", import.meta.url));
    const node = new AudioWorkletNode(this.#context, "serkit-microphone", { numberOfOutputs: 0 });
    node.port.onmessage = ({ data }) => this.feed(data);
    this.#context.createMediaStreamSource(this.#microphone).connect(node);
    await this.#context.resume();
  }

  /** Let go of the microphone. */
  async stop() {
    for (const track of this.#microphone?.getTracks() ?? []) track.stop();
    await this.#context?.close();
    this.#microphone = this.#context = null;
  }
}
