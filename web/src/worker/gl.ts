/** The few things done with WebGL2 everywhere: programs, textures, passes. */

export interface Target {
  readonly texture: WebGLTexture;
  readonly buffer: WebGLFramebuffer;
  readonly width: number;
  readonly height: number;
}

export class Program {
  private readonly program: WebGLProgram;
  private readonly places = new Map<string, WebGLUniformLocation | null>();

  constructor(
    private readonly gl: WebGL2RenderingContext,
    vertex: string,
    fragment: string,
  ) {
    this.program = gl.createProgram();
    for (const [kind, text] of [
      [gl.VERTEX_SHADER, vertex],
      [gl.FRAGMENT_SHADER, fragment],
    ] as const) {
      const shader = gl.createShader(kind) as WebGLShader;
      gl.shaderSource(shader, text);
      gl.compileShader(shader);
      gl.attachShader(this.program, shader);
      gl.deleteShader(shader);
    }
    gl.linkProgram(this.program);
    if (!gl.getProgramParameter(this.program, gl.LINK_STATUS)) {
      throw new Error(`a shader does not link: ${gl.getProgramInfoLog(this.program)}`);
    }
  }

  /** Draw on `target`, or on the canvas, with textures and values by the names that the shader gives them. */
  run(target: Target | null, textures: Record<string, WebGLTexture>, set: (program: Program) => void): void {
    const { gl } = this;
    gl.bindFramebuffer(gl.FRAMEBUFFER, target?.buffer ?? null);
    gl.viewport(0, 0, target?.width ?? gl.drawingBufferWidth, target?.height ?? gl.drawingBufferHeight);
    gl.useProgram(this.program);
    Object.entries(textures).forEach(([name, texture], unit) => {
      gl.activeTexture(gl.TEXTURE0 + unit);
      gl.bindTexture(gl.TEXTURE_2D, texture);
      gl.uniform1i(this.place(name), unit);
    });
    set(this);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  }

  floats(name: string, ...values: number[]): void {
    const { gl } = this;
    const place = this.place(name);
    if (values.length === 1) gl.uniform1fv(place, values);
    else if (values.length === 2) gl.uniform2fv(place, values);
    else if (values.length === 3) gl.uniform3fv(place, values);
    else gl.uniform4fv(place, values);
  }

  whole(name: string, ...values: number[]): void {
    const place = this.place(name);
    if (values.length === 1) this.gl.uniform1iv(place, values);
    else this.gl.uniform2iv(place, values);
  }

  private place(name: string): WebGLUniformLocation | null {
    let found = this.places.get(name);
    if (found === undefined) {
      found = this.gl.getUniformLocation(this.program, name);
      this.places.set(name, found);
    }
    return found;
  }
}

export function makeTexture(gl: WebGL2RenderingContext, filter: number): WebGLTexture {
  const texture = gl.createTexture();
  gl.bindTexture(gl.TEXTURE_2D, texture);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, filter);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, filter);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE);
  return texture;
}

/** A texture to draw on; `format` is one of WebGL2's sized ones. */
export function makeTarget(gl: WebGL2RenderingContext, format: number, width: number, height: number, filter: number): Target {
  const texture = makeTexture(gl, filter);
  gl.texStorage2D(gl.TEXTURE_2D, 1, format, width, height);
  const buffer = gl.createFramebuffer();
  gl.bindFramebuffer(gl.FRAMEBUFFER, buffer);
  gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, texture, 0);
  if (gl.checkFramebufferStatus(gl.FRAMEBUFFER) !== gl.FRAMEBUFFER_COMPLETE) throw new Error("the graphics card cannot draw on such textures");
  return { texture, buffer, width, height };
}

export function dropTarget(gl: WebGL2RenderingContext, target: Target): void {
  gl.deleteFramebuffer(target.buffer);
  gl.deleteTexture(target.texture);
}
