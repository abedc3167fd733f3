/** Parts of a section of which one at a time is shown, as its radio buttons say; without scripts all are. */
import { type Html, html } from "../../../page/html.ts";

/** What can be chosen. */
export interface Choice {
  readonly legend: string;
  /** Unique on the page. */
  readonly name: string;
  readonly options: readonly { readonly value: string; readonly label: string }[];
}

/** A group of radio buttons: the arrow keys go through them. */
export const picker = ({ legend, name, options }: Choice): Html =>
  html`<fieldset class="picker">
    <legend>${legend}</legend>
    ${options.map(
      ({ value, label }, index) =>
        html`<label
          ><input
            type="radio"
            name="${name}"
            value="${value}"
            ${index === 0 ? html` checked` : []}
          /><span>${label}</span></label
        >`,
    )}
  </fieldset>`;

/** Shown while the radio buttons of its section have these values, in their order. */
export const panel = (values: readonly string[], content: Html): Html =>
  html`<div class="panel" data-when="${values.join(" ")}">${content}</div>`;
