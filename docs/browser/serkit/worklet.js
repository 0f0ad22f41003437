class Microphone extends AudioWorkletProcessor {
  #held = new Float32Array(2048);
  #filled = 0;

  process([[channel]]) {
    if (!channel) return true;
    this.#held.set(channel, this.#filled);
    this.#filled += channel.length;
    if (this.#filled === this.#held.length) {
      this.port.postMessage(this.#held.slice());
      this.#filled = 0;
    }
    return true;
  }
}

registerProcessor("serkit-microphone", Microphone);
