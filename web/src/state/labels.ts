/** The labels of the project, and the one that is in use. */

import { signal } from "@preact/signals";
import type { Backend } from "../api/backend";
import type { Label } from "../api/types";
import { newId } from "./ids";
import { freeColour, freeKey, NO_LABEL } from "./palette";

export class Labels {
  readonly all = signal<Label[]>([]);
  /** of the objects to come */
  readonly current = signal<string | null>(null);

  constructor(
    private readonly backend: Backend,
    private readonly complain: (error: unknown) => void,
  ) {}

  set(labels: Label[]): void {
    this.all.value = labels;
    if (!this.find(this.current.peek())) this.current.value = labels[0]?.id ?? null;
  }

  colourOf(id: string | null): string {
    return this.find(id)?.colour ?? NO_LABEL;
  }

  nameOf(id: string | null): string {
    return this.find(id)?.name ?? "no label";
  }

  /** A new label with a colour and a key that are free; it is used from now on. */
  async add(name: string): Promise<void> {
    const known = this.all.peek();
    const label: Label = {
      id: newId(),
      name,
      colour: freeColour(known.map((other) => other.colour)),
      key: freeKey(known.map((other) => other.key)),
    };
    if (await this.save(label)) this.current.value = label.id;
  }

  /** Whether the server has taken it. */
  async save(label: Label): Promise<boolean> {
    const before = this.all.peek();
    const isKnown = before.some((other) => other.id === label.id);
    this.all.value = isKnown ? before.map((other) => (other.id === label.id ? label : other)) : [...before, label];
    try {
      await this.backend.putLabel(label);
      return true;
    } catch (error) {
      this.all.value = before;
      this.complain(error);
      return false;
    }
  }

  async remove(id: string): Promise<void> {
    try {
      await this.backend.deleteLabel(id);
      this.set(this.all.peek().filter((label) => label.id !== id));
    } catch (error) {
      this.complain(error);
    }
  }

  private find(id: string | null): Label | undefined {
    return this.all.value.find((label) => label.id === id);
  }
}
