/** The files for Grafana and Prometheus: whole, and about metrics and labels that there are. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { catalogue } from "../../src/telemetry/catalogue.ts";

/** Series as Prometheus has them, with the labels of each. */
const series = new Map<string, ReadonlySet<string>>(
  catalogue.flatMap(({ name, kind, labels }) => {
    const all = new Set([...labels, "job", "instance"]);
    if (kind !== "distribution") return [[name, all] as const];
    return [
      [`${name}_bucket`, new Set([...all, "le"])] as const,
      ...["sum", "count"].map((part) => [`${name}_${part}`, all] as const),
    ];
  }),
);
series.set("up", new Set(["job", "instance"]));

const read = (file: string): string =>
  readFileSync(new URL(`../../examples/grafana/${file}`, import.meta.url), "utf8");

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly gridPos: {
    readonly x: number;
    readonly y: number;
    readonly w: number;
    readonly h: number;
  };
  readonly datasource?: { readonly uid: string };
  readonly fieldConfig?: { readonly defaults: { readonly unit?: string } };
  readonly targets?: readonly {
    readonly refId: string;
    readonly expr: string;
    readonly legendFormat: string;
    readonly datasource: { readonly uid: string };
  }[];
}

interface Dashboard {
  readonly uid: string;
  readonly title: string;
  readonly schemaVersion: number;
  readonly templating: {
    readonly list: readonly {
      readonly name: string;
      readonly type: string;
      readonly query: unknown;
    }[];
  };
  readonly panels: readonly Panel[];
}

const dashboard = JSON.parse(read("trellis.json")) as Dashboard;
const drawn = dashboard.panels.filter(({ type }) => type !== "row");

/** Alerts, each with its fields; the file has one field a line. */
const alerts = read("alerts.yaml")
  .split(/^ {6}- /mu)
  .slice(1)
  .map(
    (text) =>
      new Map(
        [...text.matchAll(/^ *(\w+): (.+)$/gmu)].map(([, key = "", value = ""]) => [key, value]),
      ),
  );
const exprOf = (alert: ReadonlyMap<string, string>): string =>
  (alert.get("expr") ?? "").replace(/^(['"])(.*)\1$/u, "$2");

/** What an expression names that does not exist. Strings of it are no names. */
function unknownIn(expr: string): string[] {
  const unknown: string[] = [];
  const plain = expr.replaceAll(/"[^"]*"/gu, '""');
  const used = new Set<string>();
  for (const [, name = "", matchers = ""] of plain.matchAll(
    /\b(up|trellis_\w+)\b(?:\{([^}]*)\})?/gu,
  )) {
    const labels = series.get(name);
    if (labels === undefined) unknown.push(name);
    for (const label of labels ?? []) used.add(label);
    for (const [, label = ""] of matchers.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/gu)) {
      if (labels?.has(label) !== true) unknown.push(`${name}{${label}}`);
    }
  }
  for (const [, list = ""] of plain.matchAll(/\bby \(([^)]*)\)/gu)) {
    for (const label of list.split(",")) if (!used.has(label.trim())) unknown.push(`by ${label}`);
  }
  if (used.size === 0) unknown.push(`no metric in ${expr}`);
  return unknown;
}

/** Labels that a series still has after the outermost aggregation; undefined: all of it. */
const kept = (expr: string): readonly string[] | undefined => {
  const by = /\bby \(([^)]*)\)/u.exec(expr)?.[1];
  if (by !== undefined) return by.split(",").map((label) => label.trim());
  return /^(?:sum|max|count|histogram_quantile)\b/u.test(expr) ? [] : undefined;
};

describe("the dashboard for Grafana", () => {
  test("has what Grafana needs", () => {
    expect(dashboard.schemaVersion).toBeGreaterThanOrEqual(36);
    expect(dashboard.uid).toMatch(/^[\w-]{1,40}$/u);
    const variables = new Map(dashboard.templating.list.map((each) => [each.name, each.type]));
    expect(Object.fromEntries(variables)).toEqual({
      ...{ datasource: "datasource", job: "query", instance: "query" },
    });
    const ids = dashboard.panels.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
  });

  test.each(drawn.map((panel) => [panel.title, panel] as const))("%s is whole", (_, panel) => {
    expect(panel.fieldConfig?.defaults.unit).toMatch(/^\w+$/u);
    expect(panel.datasource?.uid).toBe("${datasource}");
    const targets = panel.targets ?? [];
    expect(targets.length).toBeGreaterThan(0);
    expect(new Set(targets.map(({ refId }) => refId)).size).toBe(targets.length);
    for (const { expr, datasource, legendFormat } of targets) {
      expect(datasource.uid).toBe("${datasource}");
      expect(expr).toContain('instance=~"$instance"');
      const named = [...legendFormat.matchAll(/\{\{(\w+)\}\}/gu)].map(([, label = ""]) => label);
      const labels = kept(expr) ?? named;
      expect(named.filter((label) => !labels.includes(label))).toEqual([]);
    }
  });

  test("no panel lies over another, and none beyond the grid", () => {
    const cells = new Set<string>();
    for (const { gridPos } of dashboard.panels) {
      expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          expect(cells.has(`${x},${y}`)).toBe(false);
          cells.add(`${x},${y}`);
        }
      }
    }
  });

  test("names only metrics and labels that there are", () => {
    const targets = drawn.flatMap(({ targets: all = [] }) => all);
    expect(targets.flatMap(({ expr }) => unknownIn(expr))).toEqual([]);
  });
});

describe("the alerts for Prometheus", () => {
  test("each has an expression, a time, a severity, and its place in the runbook", () => {
    expect(alerts.length).toBeGreaterThan(15);
    const rules = {
      alert: /^Trellis[A-Z]\w+$/u,
      expr: /[<>=]=? [\d.]+/u,
      for: /^\d+m$/u,
      severity: /^(?:warning|critical)$/u,
      summary: /./u,
      description: /^".+"$/u,
    };
    for (const alert of alerts) {
      const name = alert.get("alert") ?? "";
      const wrong = Object.entries(rules).filter(
        ([field, rule]) => !rule.test(alert.get(field) ?? ""),
      );
      expect([name, ...wrong]).toEqual([name]);
      expect(alert.get("runbook")).toBe(`docs/operations.md#${name.toLowerCase()}`);
    }
    const names = alerts.map((alert) => alert.get("alert"));
    expect(new Set(names).size).toBe(names.length);
  });

  test("the runbook has a section for each, and none for anything else", () => {
    const page = readFileSync(new URL("../../docs/operations.md", import.meta.url), "utf8");
    const sections = [...page.matchAll(/^### (\w+)$/gmu)].map(([, name]) => name);
    expect(sections).toEqual(alerts.map((alert) => alert.get("alert")));
  });

  test("names only metrics and labels that there are", () => {
    expect(alerts.flatMap((alert) => unknownIn(exprOf(alert)))).toEqual([]);
    for (const alert of alerts) {
      const labels = kept(exprOf(alert)) ?? ["job", "instance"];
      const said = (alert.get("description") ?? "").matchAll(/\$labels\.(\w+)/gu);
      for (const [, label = ""] of said) expect(labels).toContain(label);
    }
  });
});
