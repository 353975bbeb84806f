/** The tools beside the image, and what the current one can be set to. */

import { change, settings } from "../state/settings";
import type { ToolName } from "../state/app";
import { minusMode } from "../tools/click";
import { cutsHole } from "../tools/polygon";
import { CommandButton, usePage } from "./context";

const TOOLS: [ToolName, string][] = [
  ["click", "Click and box"],
  ["brush", "Brush"],
  ["erase", "Eraser"],
  ["polygon", "Polygon"],
  ["select", "Select"],
  ["gaze", "Gaze"],
];

export function ToolBar() {
  const { app } = usePage();
  const tool = app.tool.value;
  return (
    <div class="tool-bar" role="toolbar" aria-label="Tools" aria-orientation="vertical">
      {TOOLS.map(([name, text]) => (
        <CommandButton key={name} id={`tool-${name}`} icon={name} text={text} pressed={tool === name} />
      ))}
      <hr />
      <CommandButton id="zoom-in" icon="plus" text="Zoom in" />
      <CommandButton id="zoom-out" icon="minus" text="Zoom out" />
      <CommandButton id="fit" icon="fit" text="Fit the image" />
      <CommandButton id="hide-all" icon={app.overlay.value ? "eye" : "hidden"} text="Show objects" pressed={app.overlay.value} />
    </div>
  );
}

/** Beside the tools, while there is something to set. */
export function ToolOptions() {
  const { app } = usePage();
  switch (app.tool.value) {
    case "brush":
    case "erase":
      return (
        <div class="tool-options">
          <Slider label="Size" value={settings.value.brush} min={1} max={300} unit="px" onChange={(brush) => change({ brush })} />
        </div>
      );
    case "polygon":
      return (
        <div class="tool-options">
          <Toggle text="Cut a hole" isOn={cutsHole.value} onChange={(on) => (cutsHole.value = on)} />
        </div>
      );
    case "gaze":
      return <GazeOptions />;
    case "click":
      return (
        <div class="tool-options coarse-only">
          <Toggle text="Minus clicks" isOn={minusMode.value} onChange={(on) => (minusMode.value = on)} />
        </div>
      );
    default:
      return null;
  }
}

function GazeOptions() {
  const { gazeRadius, gazePreviewMs, gazeTakeMs } = settings.value;
  return (
    <div class="tool-options">
      <Slider label="Radius" value={gazeRadius} min={8} max={120} unit="px" onChange={(r) => change({ gazeRadius: r })} />
      <Slider
        label="Show after"
        value={gazePreviewMs}
        min={100}
        max={1500}
        unit="ms"
        onChange={(ms) => change({ gazePreviewMs: ms, gazeTakeMs: Math.max(gazeTakeMs, ms + 100) })}
      />
      <Slider
        label="Take after"
        value={gazeTakeMs}
        min={300}
        max={4000}
        unit="ms"
        onChange={(ms) => change({ gazeTakeMs: Math.max(ms, gazePreviewMs + 100) })}
      />
    </div>
  );
}

interface SliderProps {
  label: string;
  value: number;
  min: number;
  max: number;
  unit: string;
  onChange: (value: number) => void;
}

export function Slider({ label, value, min, max, unit, onChange }: SliderProps) {
  return (
    <label class="slider">
      <span>{label}</span>
      <input
        type="range"
        min={min}
        max={max}
        value={value}
        onInput={(event) => onChange(Number(event.currentTarget.value))}
      />
      <output>
        {value} {unit}
      </output>
    </label>
  );
}

export function Toggle({ text, isOn, onChange }: { text: string; isOn: boolean; onChange: (on: boolean) => void }) {
  return (
    <button type="button" class="button" aria-pressed={isOn} onClick={() => onChange(!isOn)}>
      {text}
    </button>
  );
}
