// a change of an approval -> a message in the form of Slack's incoming webhooks
import { type Approval, describeApprovers } from "./approval.ts";
import type { ApprovalChange } from "./desk.ts";
import { visibleText } from "./visible.ts";

/** Slack takes 3,000 characters in a section and 50 blocks; escapes make a character up to 5. */
const sectionCharsMax = 2_900;
const statementSectionsMax = 30;

type Block = {
  readonly type: "section";
  readonly text: { readonly type: "mrkdwn" | "plain_text"; readonly text: string };
};

export function slackMessage(
  { approval, what }: ApprovalChange,
  pageOrigin: string | undefined,
): { readonly text: string; readonly blocks: readonly Block[] } {
  const link = pageOrigin === undefined ? undefined : `${pageOrigin}/approvals/${encodeURIComponent(approval.id)}`;
  const title = `${titles[what] ?? what}: ${approval.id}`;
  const head = [`*${escaped(title)}*`, ...factsOf(approval)].join("\n");
  const whole = wholeOf(approval);
  const pieces = piecesOf(visibleText(whole));
  const sections = pieces.slice(0, statementSectionsMax);
  const shownChars = sections.join("").length;
  const cut =
    pieces.length > sections.length
      ? [
          `*Cut here: ${shownChars} of ${pieces.join("").length} characters are shown.* Read the rest before you decide.`,
        ]
      : [];
  const way = link === undefined ? `\`gw approvals show ${approval.id}\`` : `<${link}|See all of it and decide>`;
  return {
    text: escaped(`${title} by ${visibleText(approval.requester.sub)} on ${approval.connection}`),
    blocks: [...splitHead(head), ...sections.map((piece) => `\`\`\`${piece}\`\`\``), ...cut, way].map((text) => ({
      type: "section",
      text: { type: "mrkdwn", text },
    })),
  };
}

const titles: Readonly<Record<string, string>> = {
  requested: "Approval wanted",
  granted: "Approved",
  refused: "Refused",
  expired: "Ran out",
  withdrawn: "Taken back",
  used: "Was run",
  "glass-broken": "Glass was broken, review it",
  reviewed: "Reviewed",
};

function factsOf(approval: Approval): readonly string[] {
  const { requester, requirements, accesses } = approval;
  const behind = requester.onBehalfOf.length === 0 ? "" : ` for ${requester.onBehalfOf.join(" → ")}`;
  return [
    `who: ${requester.sub} (${requester.kind})${behind}`,
    `where: ${approval.connection}`,
    ...requirements.map((r) => `rule: ${r.rule}: ${r.message}`),
    `approvers: ${describeApprovers(requirements)}`,
    `touches: ${accesses.join("; ")}`,
    ...(approval.estimatedRows === undefined ? [] : [`rows: about ${approval.estimatedRows}`]),
  ].map((line) => escaped(visibleText(line.replaceAll(/\s+/g, " "))));
}

/** A head may be longer than a section: access lists are. */
function splitHead(head: string): readonly string[] {
  const sections: string[] = [];
  for (let at = 0; at < head.length && sections.length < 10; at += sectionCharsMax) {
    sections.push(head.slice(at, at + sectionCharsMax));
  }
  const isCut = head.length > sections.join("").length;
  return isCut ? [...sections, "*Cut here: the list is longer.*"] : sections;
}

const wholeOf = ({ statement, parameters }: Approval): string =>
  [statement, ...parameters.map((value, i) => `$${i + 1} = ${value ?? "NULL"}`)].join("\n");

/** Escaped pieces, none of them cut within an escape. Three backticks would end the block: they are kept apart. */
function piecesOf(text: string): readonly string[] {
  const pieces: string[] = [];
  let piece = "";
  for (const character of text.replaceAll("```", "`\u2060`\u2060`".replaceAll("\u2060", "⟨⟩"))) {
    const safe = escaped(character);
    if (piece.length + safe.length > sectionCharsMax) {
      pieces.push(piece);
      piece = "";
    }
    piece += safe;
  }
  pieces.push(piece);
  return pieces;
}

/** Slack's three: without them a text could make links and mentions. */
const escaped = (text: string): string => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
