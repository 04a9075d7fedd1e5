/** As much of an ONNX file as a convolutional network needs: its nodes and its numbers. */

export interface Node {
  readonly type: string;
  readonly inputs: readonly string[];
  readonly output: string;
  readonly numbers: ReadonlyMap<string, readonly number[]>; // its attributes that are integers
  readonly words: ReadonlyMap<string, string>; // and those that are text
}

export interface Constant {
  readonly dims: readonly number[];
  readonly values: Float32Array;
}

export interface Graph {
  readonly nodes: readonly Node[];
  readonly constants: Map<string, Constant>;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
}

const GRAPH = 7; // the fields' numbers, as in onnx.proto
const [NODE, INITIALIZER, INPUT, OUTPUT] = [1, 5, 11, 12];
const [FLOAT, INT64, FLOAT16] = [1, 7, 10];

/** Throws where the file has what is not known here. */
export function readOnnx(file: Uint8Array): Graph {
  const nodes: Node[] = [];
  const constants = new Map<string, Constant>();
  const [inputs, outputs]: [string[], string[]] = [[], []];
  for (const model of fields(file)) {
    if (model.number !== GRAPH) continue;
    for (const { number, bytes } of fields(model.bytes)) {
      if (number === NODE) nodes.push(readNode(bytes));
      else if (number === INITIALIZER) constants.set(...readConstant(bytes));
      else if (number === INPUT) inputs.push(nameOf(bytes));
      else if (number === OUTPUT) outputs.push(nameOf(bytes));
    }
  }
  return { nodes, constants, inputs, outputs };
}

interface Field {
  readonly number: number;
  readonly value: number; // of a plain one
  readonly bytes: Uint8Array; // of one with a length
}

const NOTHING = new Uint8Array(0);

/** Protocol buffers' fields, one after another. */
function* fields(bytes: Uint8Array): Generator<Field> {
  let at = 0;
  const varint = (): number => {
    // None is negative or large in what is read here, so a double will do.
    for (let [value, scale] = [0, 1]; ; scale *= 128) {
      const byte = bytes[at++];
      if (byte === undefined) throw new Error("the model's file is cut off");
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const key = varint();
    const number = key >>> 3;
    const kind = key & 7;
    if (kind === 0) yield { number, value: varint(), bytes: NOTHING };
    else if (kind === 2) {
      const length = varint();
      if (!(length >= 0 && at + length <= bytes.length)) throw new Error("the model's file is cut off");
      yield { number, value: 0, bytes: bytes.subarray(at, (at += length)) };
    } else if (kind === 5 || kind === 1) at += kind === 5 ? 4 : 8;
    else throw new Error("the model's file is no ONNX");
  }
}

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

/** Of a value's description, whose first field it is. */
function nameOf(bytes: Uint8Array): string {
  for (const field of fields(bytes)) if (field.number === 1) return text(field.bytes);
  return "";
}

function readNode(bytes: Uint8Array): Node {
  const inputs: string[] = [];
  const outputs: string[] = [];
  const numbers = new Map<string, number[]>();
  const words = new Map<string, string>();
  let type = "";
  for (const field of fields(bytes)) {
    if (field.number === 1) inputs.push(text(field.bytes));
    else if (field.number === 2) outputs.push(text(field.bytes));
    else if (field.number === 4) type = text(field.bytes);
    else if (field.number === 5) readAttribute(field.bytes, numbers, words);
  }
  const output = outputs[0];
  if (output === undefined || outputs.length > 1) throw new Error(`${type} with ${outputs.length} outputs`);
  return { type, inputs, output, numbers, words };
}

function readAttribute(bytes: Uint8Array, numbers: Map<string, number[]>, words: Map<string, string>): void {
  const list: number[] = [];
  const name = nameOf(bytes);
  for (const field of fields(bytes)) {
    if (field.number === 3 || field.number === 8) list.push(...integers(field));
    else if (field.number === 4) words.set(name, text(field.bytes));
  }
  numbers.set(name, list);
}

/** One, or several of them packed. */
function integers(field: Field): number[] {
  if (field.bytes.length === 0) return [field.value];
  const found: number[] = [];
  let [value, scale] = [0, 1];
  for (const byte of field.bytes) {
    value += (byte & 127) * scale;
    scale *= 128;
    if (byte >= 128) continue;
    found.push(value);
    [value, scale] = [0, 1];
  }
  return found;
}

function readConstant(bytes: Uint8Array): [string, Constant] {
  const dims: number[] = [];
  let [type, name] = [0, ""];
  let raw: Uint8Array = NOTHING;
  for (const field of fields(bytes)) {
    if (field.number === 1) dims.push(...integers(field));
    else if (field.number === 2) type = field.value;
    else if (field.number === 8) name = text(field.bytes);
    else if (field.number === 9) raw = field.bytes;
  }
  const values = numbersOf(type, raw);
  if (values.length !== dims.reduce((one, other) => one * other, 1)) throw new Error(`${name}: its numbers are elsewhere`);
  return [name, { dims, values }];
}

/** In plain loops: a worker that reads half a million numbers shows no picture meanwhile. */
function numbersOf(type: number, raw: Uint8Array): Float32Array {
  const bytes = type === FLOAT ? 4 : type === FLOAT16 ? 2 : type === INT64 ? 8 : 0;
  if (bytes === 0) throw new Error(`numbers of type ${type}`);
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  const out = new Float32Array(Math.floor(raw.length / bytes));
  for (let one = 0, at = 0; one < out.length; one++, at += bytes) {
    if (type === FLOAT16) out[one] = half(view.getUint16(at, true));
    else out[one] = type === FLOAT ? view.getFloat32(at, true) : Number(view.getBigInt64(at, true));
  }
  return out;
}

const POWERS = Float64Array.from({ length: 32 }, (_, exponent) => 2 ** (Math.max(1, exponent) - 25));

/** A number of 16 bits. */
function half(bits: number): number {
  const exponent = (bits >> 10) & 31;
  const part = bits & 1023;
  if (exponent === 31) return part !== 0 ? NaN : bits & 0x8000 ? -Infinity : Infinity;
  const size = (exponent === 0 ? part : 1024 + part) * POWERS[exponent]!;
  return bits & 0x8000 ? -size : size;
}
