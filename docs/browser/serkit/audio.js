// Sound before the graph: one channel, the model's rate, whether somebody speaks. The rules and limits are those of
// serkit.audio in Python (voice_activity.py, channels.py, quality.py), which say where they come from.

const HALF = 32; // zero crossings of the sinc on each side
const BETA = 9; // of the Kaiser window
const PASS = 0.95; // of the lower Nyquist frequency

/** Convert samples to another rate with a windowed sinc. */
export function resample(samples, from, to) {
  if (from === to) return samples;
  const shared = gcd(from, to);
  const up = to / shared;
  const down = from / shared;
  const cutoff = PASS * Math.min(1, to / from);
  const reach = Math.ceil(HALF / cutoff);
  const phases = Array.from({ length: up }, (_, phase) => taps(phase / up, reach, cutoff));
  const out = new Float32Array(Math.max(1, Math.round((samples.length * to) / from)));
  for (let n = 0; n < out.length; n++) {
    const at = n * down;
    const centre = Math.floor(at / up);
    const kernel = phases[at % up];
    let sum = 0;
    const first = Math.max(0, centre - reach + 1);
    const last = Math.min(samples.length - 1, centre + reach);
    for (let k = first; k <= last; k++) sum += samples[k] * kernel[k - centre + reach - 1];
    out[n] = sum;
  }
  return out;
}

function taps(offset, reach, cutoff) {
  const kernel = new Float64Array(2 * reach);
  let total = 0;
  for (let k = 0; k < kernel.length; k++) {
    const x = k - reach + 1 - offset;
    const inside = 1 - (x / reach) ** 2;
    const angle = Math.PI * x * cutoff;
    kernel[k] = inside < 0 ? 0 : (angle === 0 ? 1 : Math.sin(angle) / angle) * bessel(BETA * Math.sqrt(inside));
    total += kernel[k];
  }
  return kernel.map((value) => value / total);
}

function bessel(x) {
  let sum = 1;
  for (let term = 1, k = 1; term > 1e-12 * sum; k++) sum += term *= (x / (2 * k)) ** 2;
  return sum;
}

function gcd(a, b) {
  return b ? gcd(b, a % b) : a;
}

/** One channel of several: their mean, unless all but one are empty or they cancel; then the loudest. */
export function mono(channels) {
  if (channels.length === 1) return channels[0];
  const mix = new Float32Array(channels[0].length);
  for (let n = 0; n < mix.length; n++) {
    let sum = 0;
    for (const channel of channels) sum += channel[n];
    mix[n] = sum / channels.length;
  }
  const energies = channels.map(energy);
  const loudest = energies.indexOf(Math.max(...energies));
  const oneSided = energies.every((value, k) => k === loudest || value <= 1e-4 * energies[loudest]);
  const unrelated = energies.reduce((a, b) => a + b, 0) / channels.length ** 2;
  return oneSided || energy(mix) < 0.25 * unrelated ? channels[loudest] : mix;
}

function energy(samples) {
  let sum = 0;
  for (const value of samples) sum += value * value;
  return sum;
}

const RATE = 8000;
const FRAME = 400;
const HOP = 128;
const N_FFT = 1024;
const LOW = 8; // bins from 60 to 3,900 Hz
const HIGH = 500;
const HANN = Float64Array.from({ length: FRAME }, (_, n) => 0.5 - 0.5 * Math.cos((2 * Math.PI * n) / FRAME));
const FULL_SCALE = (N_FFT * energy(HANN)) / 2;
const BANDS = Array.from({ length: 15 }, (_, k) => {
  const edge = 100 * 38 ** (k / 14);
  return Math.ceil((edge * N_FFT) / RATE) - LOW;
});

/** Seconds of voiced sound in a piece of at most 30 s; 0 if nobody speaks. */
export function voicedSeconds(samples, rate) {
  let mean = 0;
  for (const value of samples) mean += value / samples.length;
  const centred = samples.map((value) => value - mean);
  const peak = centred.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  if (samples.length < 0.1 * rate || peak < 10 ** (-70 / 20)) return 0;
  const frames = spectra(resample(centred, rate, RATE));
  const energies = frames.map((power) => power.reduce((a, b) => a + b, 0));
  const levels = energies.map((value) => 10 * Math.log10(value / FULL_SCALE + 1e-20));
  const floor = Math.max(quantile(levels, 0.9) - 25, -90);
  const found = frames.map((power, k) => levels[k] > floor && voicing(power) > 0.28);
  const voiced = [...found.keys()].filter((k) => found[k] && (found[k - 1] || found[k + 1]));
  const seconds = (voiced.length * HOP) / RATE;
  if (seconds < 0.1) return 0;
  const shapes = voiced.map((k) => shape(frames[k], energies[k]));
  const changes = shapes[0].map((_, band) => deviation(shapes.map((one) => one[band])));
  const moves =
    deviation(voiced.map((k) => levels[k])) >= 1.3 && changes.reduce((a, b) => a + b, 0) / changes.length >= 1.6;
  const partials = voiced.map((k) => energies[k] ** 2 / energy(frames[k]));
  const rich = quantile(partials, 0.8) >= 7 && quantile(partials, 0.5) <= 150;
  return moves && rich ? Math.min(seconds, samples.length / rate) : 0;
}

function spectra(samples) {
  const count = Math.max(1, Math.floor((samples.length - FRAME) / HOP) + 1);
  return Array.from({ length: count }, (_, frame) => {
    const re = new Float64Array(N_FFT);
    const im = new Float64Array(N_FFT);
    let mean = 0;
    for (let n = 0; n < FRAME; n++) mean += (samples[frame * HOP + n] ?? 0) / FRAME;
    for (let n = 0; n < FRAME; n++) re[n] = ((samples[frame * HOP + n] ?? 0) - mean) * HANN[n];
    fft(re, im);
    return Float64Array.from({ length: HIGH - LOW }, (_, k) => re[k + LOW] ** 2 + im[k + LOW] ** 2);
  });
}

function voicing(power) {
  const re = new Float64Array(N_FFT);
  const im = new Float64Array(N_FFT);
  for (let k = LOW; k < HIGH; k++) {
    re[k] = re[N_FFT - k] = power[k - LOW] ** 0.7 * Math.sqrt((k * RATE) / N_FFT);
  }
  fft(re, im); // of even input: the autocorrelation, times N_FFT
  let best = 0;
  for (let lag = 13; lag <= 123; lag++) {
    if (re[lag] >= re[lag - 1] && re[lag] >= re[lag + 1]) best = Math.max(best, re[lag]);
  }
  return best / (re[0] + 1e-20 * N_FFT);
}

function shape(power, total) {
  return BANDS.slice(0, -1).map((start, k) => {
    let sum = 0;
    for (let bin = start; bin < BANDS[k + 1]; bin++) sum += power[bin];
    return 10 * Math.log10(sum / total + 1e-3);
  });
}

function quantile(values, share) {
  const ordered = Float64Array.from(values).sort();
  const at = share * (ordered.length - 1);
  const low = Math.floor(at);
  const high = Math.min(low + 1, ordered.length - 1);
  return ordered[low] + (ordered[high] - ordered[low]) * (at - low);
}

function deviation(values) {
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
}

function fft(re, im) {
  const size = re.length;
  for (let k = 1, j = 0; k < size; k++) {
    let bit = size >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (k < j) {
      [re[k], re[j]] = [re[j], re[k]];
      [im[k], im[j]] = [im[j], im[k]];
    }
  }
  for (let length = 2; length <= size; length <<= 1) {
    const half = length / 2;
    for (let k = 0; k < half; k++) {
      const cos = Math.cos((-2 * Math.PI * k) / length);
      const sin = Math.sin((-2 * Math.PI * k) / length);
      for (let a = k; a < size; a += length) {
        const b = a + half;
        const x = re[b] * cos - im[b] * sin;
        const y = re[b] * sin + im[b] * cos;
        re[b] = re[a] - x;
        im[b] = im[a] - y;
        re[a] += x;
        im[a] += y;
      }
    }
  }
}
