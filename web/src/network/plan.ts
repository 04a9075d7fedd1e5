/**
 * From an ONNX graph to the calls of kernels/network.ts, for pictures of one size.
 *
 * What it knows is what training/export.py writes for `small`: convolutions, ReLU, sums, doubling, and at the end a
 * transposed convolution with a sigmoid. It throws `Unknown` for everything else, and ONNX Runtime does it then.
 */

import { Layout, type Pads, type Plane } from "./layout";
import type { Constant, Graph, Node } from "./onnx";

export class Unknown extends Error {}

export type Kernel = "read" | "conv" | "depthwise" | "alpha";

/** Rows 0 to before `rows` of a kernel's output; `values`: its other arguments. */
export interface Call {
  readonly kernel: Kernel;
  readonly rows: number;
  readonly values: readonly number[];
}

export interface Plan {
  readonly calls: readonly Call[];
  readonly layout: Layout;
  readonly input: Placed; // the picture's bytes
  readonly output: Placed; // the alpha
}

interface Placed {
  readonly at: number;
  readonly bytes: number;
}

export function planFor(graph: Graph, width: number, height: number): Plan {
  return new Planner(graph, width, height).plan();
}

const LANES = 8; // channels that `conv` does at once; `depthwise` twice as many
const NO_PADS: Pads = [0, 0, 0, 0];

/** What a value's name stands for on the way. */
type Value = { kind: "bytes" } | { kind: "plane"; plane: Plane } | { kind: "doubled"; plane: Plane };

class Planner {
  private readonly layout = new Layout();
  private readonly calls: Call[] = [];
  private readonly values = new Map<string, Value>();
  private readonly readers = new Map<string, Node[]>();
  private readonly pads = new Map<string, Pads>();
  private readonly done = new Set<Node>(); // those that a call before has taken along
  private readonly input: number;
  private output: number | null = null;

  constructor(
    private readonly graph: Graph,
    private readonly width: number,
    private readonly height: number,
  ) {
    const [picture] = graph.inputs;
    if (picture === undefined || graph.inputs.length !== 1 || graph.outputs.length !== 1) throw new Unknown("inputs or outputs");
    this.input = this.layout.take(3 * width * height);
    this.values.set(picture, { kind: "bytes" });
    for (const node of graph.nodes) {
      for (const name of node.inputs) this.readers.set(name, [...(this.readers.get(name) ?? []), node]);
      if (node.type === "Conv") this.widen(node.inputs[0]!, padsOf(node));
    }
  }

  plan(): Plan {
    for (const node of this.graph.nodes) if (!this.done.has(node)) this.add(node);
    const { calls, layout, width, height } = this;
    if (this.output === null) throw new Unknown("no alpha");
    const [input, output] = [{ at: this.input, bytes: 3 * width * height }, { at: this.output, bytes: 4 * width * height }];
    return { calls, layout, input, output };
  }

  private add(node: Node): void {
    const constant = this.graph.constants.get(node.inputs[0]!);
    if (constant !== undefined) {
      if (node.type !== "Cast") throw new Unknown(`${node.type} of a constant`);
      this.graph.constants.set(node.output, constant);
    } else if (this.values.get(node.inputs[0]!)?.kind === "bytes") this.addReading(node);
    else if (node.type === "Conv") this.addConv(node);
    else if (node.type === "Resize") this.addDoubling(node);
    else if (node.type === "ConvTranspose") this.addAlpha(node);
    else throw new Unknown(node.type);
  }

  /** The picture's bytes, (1, height, width, 3), as numbers: rows of one channel. */
  private addReading(node: Node): void {
    if (node.type === "Unsqueeze" || node.type === "Reshape" || node.type === "Cast") {
      this.values.set(node.output, { kind: "bytes" });
      return;
    }
    const offset = this.graph.constants.get(node.inputs[1]!)?.values;
    if (node.type !== "Add" || offset?.length !== 1) throw new Unknown(`${node.type} of the picture`);
    const length = 3 * this.width;
    const plane = this.plane(node.output, this.height, length, 1);
    this.calls.push({ kernel: "read", rows: this.height, values: [this.input, plane.at, length, plane.row, offset[0]!] });
  }

  private addConv(node: Node): void {
    const source = this.planeOf(node.inputs[0]!);
    const kernel = this.constant(node.inputs[1]!, 4);
    const bias = this.constant(node.inputs[2]!, 1);
    const [channels, each, down, across] = kernel.dims as [number, number, number, number];
    const group = node.numbers.get("group")?.[0] ?? 1;
    const [stepDown, stepAcross] = (node.numbers.get("strides") ?? [1, 1]) as [number, number];
    const pads = padsOf(node);
    if (node.numbers.get("dilations")?.some((one) => one !== 1) || node.words.has("auto_pad")) throw new Unknown("a convolution");
    const height = Math.floor((source.height + pads[0] + pads[2] - down) / stepDown) + 1;
    const width = Math.floor((source.width + pads[1] + pads[3] - across) / stepAcross) + 1;
    const pixel = 4 * source.channels;
    const begin = source.at - pads[0] * source.row - pads[1] * pixel;
    const after = this.after(node, height, width, channels, group === 1);
    const { out, least } = after;
    const [weights, offsets] = [this.layout.keep(packed(kernel, group)), this.layout.keep(bias.values)];
    if (group === 1 && each === source.channels && channels % LANES === 0) {
      const reach = [begin, stepDown * source.row, stepAcross * pixel, source.row, down, across * source.channels];
      const values = [...reach, weights, offsets, out.at, out.row, width, channels, ...after.rest, least];
      this.calls.push({ kernel: "conv", rows: height, values });
    } else if (group === channels && each === 1 && source.channels === channels && down === across && channels % (2 * LANES) === 0) {
      const reach = [begin, source.row, stepDown * source.row, stepAcross * pixel, down];
      this.calls.push({ kernel: "depthwise", rows: height, values: [...reach, weights, offsets, out.at, out.row, width, channels, least] });
    } else throw new Unknown(`a convolution of ${source.channels} to ${channels} in ${group} groups`);
  }

  /** What is done with a convolution's output before anybody else sees it: something added, and ReLU. */
  private after(node: Node, height: number, width: number, channels: number, mayAdd: boolean): { out: Plane; rest: number[]; least: number } {
    let last = node;
    let rest = [0, 0, 0];
    const sum = this.onlyReader(last);
    if (mayAdd && sum?.type === "Add") {
      const other = this.operand(sum.inputs.find((name) => name !== last.output)!);
      if (other?.kind === "plane" || other?.kind === "doubled") {
        const shift = other.kind === "doubled" ? 1 : 0;
        const { plane } = other;
        if (plane.height << shift !== height || plane.width << shift !== width || plane.channels !== channels) throw new Unknown("a sum");
        rest = [plane.at, plane.row, shift];
        last = sum;
      }
    }
    const rectified = this.onlyReader(last);
    const isRectified = rectified?.type === "Relu";
    if (isRectified) last = rectified;
    for (let taken: Node | undefined = node; taken !== undefined && taken !== last; ) {
      taken = this.onlyReader(taken)!;
      this.done.add(taken);
    }
    return { out: this.plane(last.output, height, width, channels), rest, least: isRectified ? 0 : -Infinity };
  }

  /** A value, if it can be had by now. */
  private operand(name: string): Value | undefined {
    const maker = this.graph.nodes.find((node) => node.output === name);
    if (!this.values.has(name) && maker?.type === "Resize" && this.values.has(maker.inputs[0]!)) this.addDoubling(maker);
    return this.values.get(name);
  }

  private addDoubling(node: Node): void {
    const scales = this.constant(node.inputs[2]!, 1).values;
    const isPlain = node.words.get("mode") === "nearest" && node.words.get("coordinate_transformation_mode") === "asymmetric";
    if (!isPlain || node.words.get("nearest_mode") !== "floor" || scales.join() !== "1,1,2,2") throw new Unknown("a resize");
    this.done.add(node);
    this.values.set(node.output, { kind: "doubled", plane: this.planeOf(node.inputs[0]!) });
  }

  private addAlpha(node: Node): void {
    const source = this.planeOf(node.inputs[0]!);
    const kernel = this.constant(node.inputs[1]!, 4);
    const bias = this.constant(node.inputs[2]!, 1);
    const sigmoid = this.onlyReader(node);
    const squeeze = sigmoid && this.onlyReader(sigmoid);
    const strides = node.numbers.get("strides")?.join();
    const isPlain = kernel.dims.join() === `${source.channels},1,2,2` && strides === "2,2" && padsOf(node).every((pad) => pad === 0);
    if (!isPlain || sigmoid?.type !== "Sigmoid" || squeeze?.type !== "Squeeze") throw new Unknown("an end");
    if (squeeze.output !== this.graph.outputs[0] || 2 * source.width !== this.width || 2 * source.height !== this.height) throw new Unknown("an end");
    this.done.add(sigmoid).add(squeeze);
    this.output = this.layout.take(4 * this.width * this.height);
    const values = [source.at, source.row, this.layout.keep(kernel.values), bias.values[0]!, this.output, source.width, source.channels];
    this.calls.push({ kernel: "alpha", rows: source.height, values });
  }

  private onlyReader(node: Node): Node | undefined {
    const readers = this.readers.get(node.output);
    return readers?.length === 1 ? readers[0] : undefined;
  }

  private plane(name: string, height: number, width: number, channels: number): Plane {
    const plane = this.layout.plane(height, width, channels, this.pads.get(name) ?? NO_PADS);
    this.values.set(name, { kind: "plane", plane });
    return plane;
  }

  private planeOf(name: string): Plane {
    const value = this.values.get(name);
    if (value?.kind !== "plane") throw new Unknown(`${name}: not a plane`);
    return value.plane;
  }

  private constant(name: string, dims: number): Constant {
    const constant = this.graph.constants.get(name);
    if (constant?.dims.length !== dims) throw new Unknown(`${name}: not a constant`);
    return constant;
  }

  private widen(name: string, pads: Pads): void {
    const before = this.pads.get(name) ?? NO_PADS;
    this.pads.set(name, before.map((pad, side) => Math.max(pad, pads[side]!)) as unknown as Pads);
  }
}

/** Top, left, bottom, right. */
function padsOf(node: Node): Pads {
  return (node.numbers.get("pads") ?? NO_PADS) as unknown as Pads;
}

/** Weights as the kernels read them: (channel, input channel, row, column) as taps of LANES channels, depthwise of all. */
function packed({ dims, values }: Constant, group: number): Float32Array {
  const [channels, each, down, across] = dims as [number, number, number, number];
  const lanes = group === 1 ? LANES : channels;
  const out = new Float32Array(values.length);
  for (let channel = 0, from = 0; channel < channels; channel++) {
    const block = Math.floor(channel / lanes) * lanes * each * down * across + (channel % lanes);
    for (let source = 0; source < each; source++) {
      for (let tap = 0; tap < down * across; tap++, from++) out[block + lanes * (tap * each + source)] = values[from]!;
    }
  }
  return out;
}
