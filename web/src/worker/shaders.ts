/** The shaders of the WebGL painter: refine.py and compositor.py, pixel by pixel. Row 0 is the top everywhere but on the canvas. */

import { CHANGED, IDLE, JUMP } from "../matting/refine";

const HEAD = `#version 300 es
precision highp float;
precision highp int;
`;

export const VERTEX = `${HEAD}
void main() {
  gl_Position = vec4(gl_VertexID == 1 ? 3.0 : -1.0, gl_VertexID == 2 ? 3.0 : -1.0, 0.0, 1.0);
}`;

/** What edges are looked for in, means over times x times pixels: the frame's colours, and its brightness as the fourth. */
export const LOOK = `${HEAD}
uniform sampler2D frame;
uniform int times;
out vec4 seen;
void main() {
  ivec2 corner = ivec2(gl_FragCoord.xy) * times;
  vec3 sum = vec3(0.0);
  for (int y = 0; y < times; y++)
    for (int x = 0; x < times; x++)
      sum += texelFetch(frame, corner + ivec2(x, y), 0).rgb;
  sum /= float(times * times);
  seen = vec4(sum, dot(sum, vec3(0.299, 0.587, 0.114)));
}`;

/** What the network sees, and beside it the brightness for the guided filter. */
export const SMALL = `${HEAD}
uniform sampler2D frame;
uniform sampler2D seen;
uniform vec2 size;
out vec4 pixel;
void main() {
  vec2 at = gl_FragCoord.xy / size;
  pixel = vec4(texture(frame, at).rgb, texture(seen, at).a);
}`;

/** The fine alpha (r) and the smoothed colours when it was last believed (gba), from those of the frame before. */
export const FINE = `${HEAD}
uniform sampler2D seen;
uniform sampler2D fit;
uniform sampler2D before;
uniform ivec2 edge; // the last pixel
uniform vec2 size;
uniform vec3 pace; // up, down, whether this is a new stream
out vec4 state;
vec3 around(ivec2 at) {
  vec3 sum = vec3(0.0);
  for (int y = -2; y <= 2; y++)
    for (int x = -2; x <= 2; x++)
      sum += texelFetch(seen, edge - abs(edge - abs(at + ivec2(x, y))), 0).rgb;
  return floor(sum * 255.0 / 25.0 + 0.5);
}
void main() {
  ivec2 at = ivec2(gl_FragCoord.xy);
  vec2 line = texture(fit, gl_FragCoord.xy / size).rg;
  float now = clamp(line.r * texelFetch(seen, at, 0).a + line.g, 0.0, 1.0);
  vec3 smoothed = around(at);
  vec4 old = texelFetch(before, at, 0);
  vec3 change = abs(smoothed - old.gba);
  float up = now - old.r;
  if (pace.z > 0.5 || max(change.r, max(change.g, change.b)) > ${CHANGED.toFixed(1)}) state = vec4(now, smoothed);
  else if (up > ${JUMP}) state = vec4(now, old.gba);
  else if (abs(up) < ${IDLE} * min(now, 1.0 - now)) state = old;
  else state = vec4(old.r + min(up * pace.x, up * pace.y), old.gba);
}`;

const SURE = `
uniform sampler2D fine;
uniform vec2 full;
float levelAt(vec2 pixel) { return floor(clamp(texture(fine, pixel / full).r, 0.0, 1.0) * 255.0 + 0.5); }
float sureOf(float level) { return clamp((level - 128.0) / 127.0, 0.0, 1.0); }
`;

/** Single pixels of the frame, each weighted by how sure it is of the person. */
export const WEIGH = `${HEAD}${SURE}
uniform sampler2D frame;
uniform vec2 size;
out vec4 colour;
void main() {
  vec2 pixel = floor(floor(gl_FragCoord.xy) * full / size);
  float sure = sureOf(levelAt(pixel + 0.5));
  float voice = sure > 0.0 ? max(pow(sure, 16.0), 1e-6) : 0.0;
  colour = vec4(texelFetch(frame, ivec2(pixel), 0).rgb * voice, voice);
}`;

/** A Gaussian of sigma 2 along one axis; with \`mean\`, its end: the weights divided out. */
export const SPREAD = `${HEAD}
uniform sampler2D source;
uniform ivec2 along;
uniform vec4 mean; // colours times weights, and weights, of the whole picture, where nothing is near
uniform bool last;
out vec4 colour;
void main() {
  ivec2 at = ivec2(gl_FragCoord.xy);
  ivec2 edge = textureSize(source, 0) - 1;
  vec4 sum = vec4(0.0);
  float all = 0.0;
  for (int step = -6; step <= 6; step++) {
    float weight = exp(-float(step * step) / 8.0);
    sum += texelFetch(source, clamp(at + step * along, ivec2(0), edge), 0) * weight;
    all += weight;
  }
  sum /= all;
  sum = last ? vec4((sum.rgb + mean.rgb * 1e-4) / (sum.a + 1e-4), 1.0) : sum;
  colour = sum;
}`;

/** The person before the scenery; where alpha is 0, and on a cover everywhere, the frame is not read. */
export const COMPOSITE = `${HEAD}${SURE}
uniform sampler2D frame;
uniform sampler2D nearby;
uniform sampler2D behind;
uniform vec4 part; // of the picture behind: left, top, width, height, each as a share
uniform vec4 plain; // the colour behind; its fourth is -1 where the picture counts
uniform bool cover;
out vec4 colour;
void main() {
  vec2 pixel = vec2(gl_FragCoord.x, full.y - gl_FragCoord.y);
  vec4 back = plain.a < 0.0 ? vec4(texture(behind, part.xy + part.zw * pixel / full).rgb, 1.0) : plain;
  float level = cover ? 0.0 : levelAt(pixel);
  colour = back;
  if (level > 0.0) {
    float sure = sureOf(level);
    vec3 person = mix(texture(nearby, pixel / full).rgb, texelFetch(frame, ivec2(pixel), 0).rgb, sure);
    colour = mix(back, vec4(person, 1.0), level / 255.0);
  }
}`;
