export interface Prediction {
  /** Seconds. */
  start: number;
  end: number;
  /** Null without speech, and if `unsure`. */
  emotion: string | null;
  /** In [0, 1]; null without speech. */
  confidence: number | null;
  /** In [0, 1]: how much the voice and the microphone resemble what the model learned from. 0.5 is ordinary. */
  familiarity: number | null;
  /** One per label, summing to 1; empty without speech. */
  probabilities: Record<string, number>;
  speech: boolean;
  /** Whether the confidence is below the limit. */
  unsure: boolean;
  warnings: ("short" | "unfamiliar")[];
}

export interface LoadOptions {
  /** The module onnxruntime-web/wasm, if it is not found by that name. */
  runtime?: unknown;
  /** Folder of ONNX Runtime's .wasm and .mjs files. */
  wasm?: string;
}

export interface PredictOptions {
  /** Of a Float32Array, Hz; by default the model's. */
  sampleRate?: number;
  /** In [0, 1]; by default the model's own limit. */
  minConfidence?: number;
  /** False: there is speech, do not look for it. */
  detectSpeech?: boolean;
}

export interface StreamOptions {
  /** Hz; `listen` uses the microphone's. */
  sampleRate?: number;
  /** Seconds of sound behind each answer, by default 3. */
  window?: number;
  /** Seconds between answers, by default 0.5. */
  every?: number;
  minConfidence?: number;
  onAnswer?: (answer: Prediction) => void;
  onError?: (error: unknown) => void;
}

export class Stream {
  feed(samples: Float32Array): Promise<void>;
  listen(): Promise<void>;
  stop(): Promise<void>;
}

export class Recognizer {
  readonly manifest: Record<string, any>;
  readonly labels: string[];
  readonly sampleRate: number;
  predict(source: Float32Array | AudioBuffer | Blob, options?: PredictOptions): Promise<Prediction>;
  stream(options?: StreamOptions): Stream;
}

export const COLOURS: Readonly<Record<string, string>>;

/** Load the bundle in the folder at `url`. */
export function load(url: string | URL, options?: LoadOptions): Promise<Recognizer>;
