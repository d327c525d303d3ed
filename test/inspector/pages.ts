/** Pages of the inspector in a real browser, each on a made-up server's story; what the browser complains about is kept. */
import { after, before } from 'node:test';
import type { Browser, BrowserContextOptions, Locator, Page } from 'playwright-core';
import { launchBrowser, withoutBrowser } from './chromium.ts';
import { FakeServer } from './fake-server.ts';
import { fleet, Story } from './story.ts';

/** Within a `suite`: it starts the browser and ends it. */
export class Pages {
  static readonly without = withoutBrowser;
  readonly server = new FakeServer();
  story = new Story();
  browser!: Browser;
  complaints: string[] = [];

  constructor() {
    before(async () => {
      await this.server.listen();
      this.browser = await launchBrowser();
    });
    after(async () => {
      await this.browser?.close();
      await this.server.close();
    });
  }

  /** On a fleet of three where nothing else is said. */
  async open(
    begin: () => readonly object[] = () => fleet(this.story, 3),
    options: BrowserContextOptions = {},
    line = 'live',
  ): Promise<Page> {
    this.story = new Story();
    this.server.greeting = begin;
    const page = await this.browser.newPage({ viewport: { width: 1400, height: 900 }, ...options });
    this.complaints = [];
    page.on('pageerror', (error) => this.complaints.push(error.message));
    page.on('console', (message) => {
      // A connection that is cut is what a test may want.
      if (message.type() === 'error' && !message.text().includes('WebSocket'))
        this.complaints.push(message.text());
    });
    await page.goto(this.server.url);
    await page.locator('#line', { hasText: line }).waitFor();
    return page;
  }

  say(records: Parameters<Story['records']>[0]): void {
    this.server.say(this.story.records(records));
  }
}

export const childRow = (page: Page, age: number): Locator =>
  page.locator('[role=treeitem][data-machine=child]:not(.gone)', {
    hasText: new RegExp(`child\\.${age}(?!\\d)`),
  });
