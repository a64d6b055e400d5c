// requests for approval -> the pages that people decide on. No scripts: everything is in the markup.
import { type Approval, describeApprovers, missingFor } from "../approvals/approval.ts";
import { type Change, differences } from "../approvals/difference.ts";
import { Html, html, shown, shownLine } from "./html.ts";

export const stylesheet = `
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 0 auto; padding: 1rem; }
header { display: flex; gap: 1rem; align-items: baseline; border-bottom: 1px solid #8888; margin-bottom: 1rem; }
header form { margin-left: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem; border-bottom: 1px solid #8884; }
th { white-space: nowrap; width: 1%; }
pre, code { font: 14px/1.45 ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere; margin: 0; unicode-bidi: isolate-override; direction: ltr; }
pre { border: 1px solid #8886; padding: .6rem; }
mark { background: #c00; color: #fff; }
ins { background: #2a72; text-decoration: none; outline: 1px solid #2a7a; } del { background: #c332; outline: 1px solid #c338; }
textarea { width: 100%; font: inherit; } button { font: inherit; padding: .3rem 1rem; }
.state { font-weight: bold; } .warn { border-left: .4rem solid #c80; padding-left: .6rem; }
`;

export type Viewer = { readonly name: string; readonly csrf: string };

const frame = (title: string, viewer: Viewer | undefined, body: Html): string =>
  `<!doctype html>\n${
    html`<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${title} · Gatewright</title><link rel="stylesheet" href="/approvals/style.css"></head><body><header><strong>Gatewright</strong> <a href="/approvals">approvals</a>${
      viewer === undefined
        ? html``
        : html`<form method="post" action="/approvals/logout"><input type="hidden" name="csrf" value="${viewer.csrf}">${shownLine(viewer.name)} <button>log out</button></form>`
    }</header><main>${body}</main></body></html>`.markup
  }\n`;

export const messagePage = (title: string, message: string, viewer?: Viewer): string =>
  frame(title, viewer, html`<h1>${title}</h1><p>${shown(message)}</p><p><a href="/approvals">back</a></p>`);

export const welcomePage = (): string =>
  frame(
    "log in",
    undefined,
    html`<h1>Approvals</h1><p>Who you are decides what you see.</p><p><a href="/approvals/login">log in</a></p>`,
  );

export function listPage(viewer: Viewer, pending: readonly Approval[], unreviewed: readonly Approval[]): string {
  const rows = (approvals: readonly Approval[]): Html =>
    approvals.length === 0
      ? html`<p>Nothing.</p>`
      : html`<table><tr><th>request</th><th>who</th><th>connection</th><th>statement</th></tr>${approvals.map(
          (a) =>
            html`<tr><td><a href="/approvals/${encodeURIComponent(a.id)}">${a.id}</a></td><td>${who(a)}</td><td>${shownLine(a.connection)}</td><td><code>${shownLine(a.statement)}</code></td></tr>`,
        )}</table>`;
  return frame(
    "approvals",
    viewer,
    html`<h1>Waiting</h1>${rows(pending)}<h1>Broken glass to review</h1>${rows(unreviewed)}`,
  );
}

const who = ({ requester }: Approval): Html => {
  const behind =
    requester.onBehalfOf.length === 0 ? html`` : html`, for ${shownLine(requester.onBehalfOf.join(" → "))}`;
  return html`${shownLine(requester.sub)} (${requester.kind})${behind}`;
};

const row = (name: string, value: Html): Html => html`<tr><th>${name}</th><td>${value}</td></tr>`;

export type RequestPage = {
  readonly viewer: Viewer;
  readonly approval: Approval;
  /** What the viewer may do; the page says why not. */
  readonly whyNot: string | undefined;
  readonly mayTakeBack: boolean;
  readonly mayReview: boolean;
  readonly mayBreakGlass: boolean;
  readonly earlier: Approval | undefined;
};

export function requestPage(page: RequestPage): string {
  const { approval, viewer } = page;
  const { statement, parameters, requirements, votes, accesses } = approval;
  const characters = [...statement].length;
  const body = html`<h1>${approval.id} <span class="state">${approval.state}</span></h1>
<table>
${row("who asks", who(approval))}
${row("where", html`${shownLine(approval.connection)} (${approval.protocol}), session ${approval.session}`)}
${requirements.map((r) =>
  row("rule", html`<code>${r.rule}</code>: ${shown(r.message)} (${missingText(missingFor(r, votes))})`),
)}
${row("approvers", shownLine(describeApprovers(requirements)))}
${row("touches", html`<ul>${accesses.map((access) => html`<li><code>${shownLine(access)}</code></li>`)}</ul>`)}
${row("rows", html`${rowsText(approval)}`)}
${row("until", html`${new Date(approval.expiresAtMs).toISOString()}`)}
</table>
<h2>The whole of it: ${characters} characters, ${statement.split("\n").length} lines</h2>
<pre id="statement">${shown(statement)}</pre>
${
  parameters.length === 0
    ? html``
    : html`<h2>Values</h2><table>${parameters.map((value, i) =>
        row(`$${i + 1}`, value === null ? html`NULL` : html`<pre>${shown(value)}</pre>`),
      )}</table>`
}
${earlierPart(approval, page.earlier)}
${votesPart(approval)}
${glassPart(approval)}
${formsPart(page)}`;
  return frame(approval.id, viewer, body);
}

const missingText = (missing: number): string => (missing === 0 ? "met" : `${missing} more needed`);

function rowsText({ estimatedRows, rowsMax }: Approval): string {
  const estimate = estimatedRows === undefined ? "no estimate" : `about ${estimatedRows} by the planner's estimate`;
  return rowsMax === undefined ? estimate : `${estimate}; at most ${rowsMax} come back`;
}

function earlierPart(approval: Approval, earlier: Approval | undefined): Html {
  if (earlier === undefined) return html`<p class="warn">Nothing of this shape was approved here before.</p>`;
  const changes = differences(wholeOf(earlier), wholeOf(approval));
  const isSame = changes.every((change) => change.kind === "same");
  return html`<h2>Compared with <a href="/approvals/${encodeURIComponent(earlier.id)}">${earlier.id}</a>, the last of this shape that was approved</h2>${
    isSame ? html`<p>The same, word by word.</p>` : html`<pre id="difference">${changes.map(changeMarkup)}</pre>`
  }`;
}

/** Statement and values in one text, as they are compared. */
const wholeOf = ({ statement, parameters }: Approval): string =>
  [statement, ...parameters.map((value, i) => `$${i + 1} = ${value ?? "NULL"}`)].join("\n");

function changeMarkup({ kind, text }: Change): Html {
  if (kind === "same") return shown(text);
  return kind === "gone" ? html`<del>${shown(text)}</del>` : html`<ins>${shown(text)}</ins>`;
}

function votesPart({ votes }: Approval): Html {
  if (votes.length === 0) return html``;
  return html`<h2>Votes</h2><table>${votes.map(({ by, standsInFor, verdict, reason, atMs }) =>
    row(
      verdict,
      html`${shownLine(by)}${standsInFor === undefined ? html`` : html` in place of ${shownLine(standsInFor)}`}, ${new Date(atMs).toISOString()}${reason === undefined ? html`` : html`: ${shown(reason)}`}`,
    ),
  )}</table>`;
}

function glassPart({ brokenGlass }: Approval): Html {
  if (brokenGlass === undefined) return html``;
  const { by, reason, review, reviewByMs } = brokenGlass;
  return html`<div class="warn"><h2>Broken glass</h2><p>${shownLine(by)}: ${shown(reason)}</p><p>${
    review === undefined
      ? html`To be reviewed by ${new Date(reviewByMs).toISOString()}.`
      : html`${review.verdict} by ${shownLine(review.by)} ${shown(review.comment)}`
  }</p></div>`;
}

function formsPart({ approval, viewer, whyNot, mayTakeBack, mayReview, mayBreakGlass }: RequestPage): Html {
  const form = (name: string, label: string, isReasonNeeded: boolean): Html =>
    html`<form method="post" action="/approvals/${encodeURIComponent(approval.id)}/${name}"><input type="hidden" name="csrf" value="${viewer.csrf}"><label>reason${isReasonNeeded ? "" : " (may be left out)"}<textarea name="reason" maxlength="2000" rows="2"${isReasonNeeded ? new Html(" required") : html``}></textarea></label><button>${label}</button></form>`;
  const forms: Html[] = [];
  if (approval.state === "pending") {
    if (whyNot !== undefined) forms.push(html`<p>You can't decide this: ${shown(whyNot)}.</p>`);
    else
      forms.push(
        html`<h2>Approve</h2>${form("approve", "approve", false)}<h2>Refuse</h2>${form("deny", "refuse", true)}`,
      );
    if (mayBreakGlass)
      forms.push(html`<h2>Break glass</h2>${form("break-glass", "let it through, to be reviewed", true)}`);
  }
  if (mayTakeBack) forms.push(html`<h2>Take back</h2>${form("withdraw", "take back", true)}`);
  if (mayReview) {
    forms.push(
      html`<h2>Review</h2>${form("accept", "it was right", false)}${form("object", "it was not right", true)}`,
    );
  }
  return html`${forms}`;
}
