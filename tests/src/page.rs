//! A browser that a test drives: Chromium by its driver, both found at run time.

use std::io::{BufRead, BufReader, Write, stderr};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use thirtyfour::prelude::*;
use thirtyfour::{ChromiumLikeCapabilities, LoggingPrefsLogLevel};
use tokio::sync::{Mutex, MutexGuard};

/// Far more than anything here takes, on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// As the machine that runs the tests has no screen, and they need no network.
const ARGUMENTS: [&str; 12] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-renderer-backgrounding",
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];

/// One browser at a time: two would wait for each other's processors, and one of them too long.
static ALONE: Mutex<()> = Mutex::const_new(());

/// A page in a browser.
pub struct Page {
    driver: WebDriver,
    _chromedriver: Chromedriver,
    _alone: MutexGuard<'static, ()>,
}

/// The process, with the browsers that it has started: they end with it, whether or not a test
/// passes.
struct Chromedriver(Child);

impl Drop for Chromedriver {
    fn drop(&mut self) {
        // It leads a group of its own. Whatever cannot be ended has ended.
        let group = format!("-{}", self.0.id());
        let _ = Command::new("kill").args(["-TERM", "--", &group]).stderr(Stdio::null()).status();
        let _ = self.0.wait();
    }
}

/// What is installed of a browser and its driver, if both are.
fn installed() -> Result<(PathBuf, PathBuf), String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = |names: &[&str]| {
        let folders = || std::env::split_paths(&path);
        let mut places = names.iter().flat_map(|name| folders().map(move |it| it.join(name)));
        places.find(|place| place.is_file())
    };
    let browsers = ["chromium", "chromium-browser", "google-chrome"];
    let browser =
        found(&browsers).ok_or("no chromium, chromium-browser or google-chrome on PATH")?;
    let driver = found(&["chromedriver"]).ok_or("no chromedriver on PATH")?;
    Ok((browser, driver))
}

/// Says why a test is skipped, past the test harness, which would keep it to itself.
///
/// # Panics
/// Without a standard error.
pub fn skipped(reason: &str) {
    writeln!(stderr(), "SKIPPED: {reason}").expect("there is a standard error");
}

impl Page {
    /// A browser; none, and the reason said, where no browser is.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn open() -> Option<Page> {
        let (browser, driver) = match installed() {
            Ok(found) => found,
            Err(reason) => {
                skipped(&reason);
                return None;
            }
        };
        let alone = ALONE.lock().await;
        let (chromedriver, port) = start(&driver);
        let mut wishes = DesiredCapabilities::chrome();
        wishes.set_binary(&browser.to_string_lossy()).expect("a path");
        ARGUMENTS.iter().for_each(|argument| wishes.add_arg(argument).expect("an argument"));
        wishes.set_browser_log_level(LoggingPrefsLogLevel::All).expect("a level");
        let driver = WebDriver::new(format!("http://127.0.0.1:{port}"), wishes).await;
        let driver = driver.expect("the browser starts");
        let page = Page { driver, _chromedriver: chromedriver, _alone: alone };
        page.size(1400, 900).await;
        Some(page)
    }

    /// Opens the link, in a page of its own, and waits until that shows something.
    pub async fn visit(&self, link: &str) {
        // An address that differs in its hash alone would not load the page anew.
        self.driver.goto("about:blank").await.expect("there is always that");
        self.driver.goto(link).await.expect("the server answers");
        self.ready().await;
    }

    /// Waits until the page shows what its address says.
    pub async fn ready(&self) {
        self.until("document.body && document.body.dataset.ready === 'true'").await;
    }

    /// Waits until this is so.
    pub async fn until(&self, condition: &str) {
        let start = Instant::now();
        while self.evaluate(condition).await != Value::Bool(true) {
            assert!(start.elapsed() < PATIENCE, "never: {condition}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// What this expression is in the page.
    pub async fn evaluate(&self, expression: &str) -> Value {
        let script = format!("return ({expression});");
        let answer = self.driver.execute(script, Vec::<Value>::new()).await;
        answer.unwrap_or_else(|error| panic!("{expression}: {error}")).json().clone()
    }

    /// The text of the element that this selector finds.
    pub async fn text(&self, selector: &str) -> String {
        let text =
            self.evaluate(&format!("document.querySelector({selector:?}).textContent")).await;
        text.as_str().unwrap_or_else(|| panic!("{selector} has no text")).to_owned()
    }

    /// Presses keys, one after the other, wherever the focus is.
    pub async fn press(&self, keys: impl Into<TypingData>) {
        let chain = self.driver.action_chain().send_keys(keys);
        chain.perform().await.expect("keys can be pressed");
    }

    /// The page is as large as this, however large a window can be.
    pub async fn size(&self, width: u32, height: u32) {
        let wish =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.tell("Emulation.setDeviceMetricsOverride", wish).await;
    }

    /// The person prefers this, as `prefers-reduced-motion` and the like say it.
    pub async fn prefer(&self, feature: &str, value: &str) {
        let wish = json!({ "features": [{ "name": feature, "value": value }] });
        self.tell("Emulation.setEmulatedMedia", wish).await;
    }

    async fn tell(&self, command: &str, wish: Value) {
        let told = self.driver.cdp().send_raw(command, wish).await;
        told.unwrap_or_else(|error| panic!("{command}: {error}"));
    }

    /// Everything that the browser has complained about since this was asked last.
    pub async fn complaints(&self) -> Vec<String> {
        let log = self.driver.browser_log().await.expect("the browser keeps a log");
        let bad =
            log.into_iter().filter(|entry| ["SEVERE", "WARNING"].contains(&entry.level.as_str()));
        bad.map(|entry| entry.message).collect()
    }

    /// What axe finds in the page: its rules with the elements that break them.
    pub async fn violations(&self, axe: &str) -> Vec<String> {
        let script = format!(
            "{axe}; const done = arguments[arguments.length - 1]; \
             window.axe.run(document, {{ resultTypes: ['violations'] }}).then((result) => done(\
             result.violations.map((it) => it.id + ': ' + it.nodes.map((node) => node.html).join(' | '))));"
        );
        let found = self.driver.execute_async(script, Vec::<Value>::new()).await;
        found.expect("axe runs").convert().expect("it is a list of texts")
    }

    /// Takes a picture of the page.
    pub async fn picture(&self, file: &Path) {
        self.driver.screenshot(file).await.expect("it is taken");
    }

    /// Closes the browser.
    pub async fn close(self) {
        self.driver.clone().quit().await.expect("the browser can be closed");
    }
}

/// Starts it on a free port, which it prints.
fn start(driver: &Path) -> (Chromedriver, u16) {
    let mut child = Command::new(driver)
        .arg("--port=0")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .expect("chromedriver starts");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let port = loop {
        let line = lines.next().expect("it says its port").expect("it prints text");
        if let Some((_, rest)) = line.split_once("started successfully on port ") {
            break rest.trim_end_matches('.').parse().expect("a port is a number");
        }
    };
    // Whatever else it prints is read, so that it never waits for a reader.
    thread::spawn(move || lines.for_each(drop));
    (Chromedriver(child), port)
}

/// axe-core, which CI unpacks there; it is not kept in the repository. Where it is not, says so.
#[must_use]
pub fn axe() -> Option<String> {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/axe/package/axe.min.js");
    let found = std::fs::read_to_string(place).ok();
    if found.is_none() {
        skipped("no target/axe: `npm pack axe-core`, as .ci/run does, puts it there");
    }
    found
}
