/** How a frame lies in the network's input: figureground's preprocess.py, which must agree with this. */

const STRIDE = 32;
const MOST = 4; // times `MODEL_SIZE`: no side of the input is longer, however thin the picture

export interface Fit {
  readonly frameWidth: number;
  readonly frameHeight: number;
  readonly width: number; // of the scaled picture inside the input
  readonly height: number;
  readonly inputWidth: number; // of the network's input, a multiple of STRIDE
  readonly inputHeight: number;
}

export function fitOf(frameWidth: number, frameHeight: number): Fit {
  const longest = Math.max(frameWidth, frameHeight);
  const aspect = longest / Math.min(frameWidth, frameHeight);
  const side = Math.floor(Math.floor(MODEL_SIZE * Math.min(Math.sqrt(aspect), MOST)) / STRIDE) * STRIDE;
  const scaled = (length: number): number => Math.max(1, roundHalfEven((length * side) / longest));
  const padded = (length: number): number => Math.ceil(length / STRIDE) * STRIDE;
  const width = scaled(frameWidth);
  const height = scaled(frameHeight);
  return { frameWidth, frameHeight, width, height, inputWidth: padded(width), inputHeight: padded(height) };
}

/** As Python rounds. */
export function roundHalfEven(value: number): number {
  const down = Math.floor(value);
  const rest = value - down;
  return rest < 0.5 || (rest === 0.5 && down % 2 === 0) ? down : down + 1;
}
