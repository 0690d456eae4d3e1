//! Names, SQL, paths and values that would like to be more than text. Each of forty stands in the name of a job, in its SQL, in the
//! path of its input and in a value that fails it; none of them may become an element, run, or move what stands around it.

use anyhow::{Result, ensure};
use hearth_test_browser::{Browser, Page};
use hearth_tests::{Cluster, ClusterOptions, JobFile};

const SHOWS_WITHIN: u64 = 60;

/// `hit()` would be called by whatever runs; `NN` becomes the number.
const PAYLOADS: [&str; 40] = [
    "<script>hit()</script>NN",
    "</script><script>hit()</script>NN",
    "<img src=x onerror=hit()>NN",
    "<svg onload=hit()>NN",
    "<svg><script>hit()</script></svg>NN",
    "\"><script>hit()</script>NN",
    "'><img src=x onerror=hit()>NN",
    "\" onmouseover=\"hit()\" x=\"NN",
    "' onfocus='hit()' autofocus='NN",
    "javascript:hit()//NN",
    "<a href=javascript:hit()>NN</a>",
    "<iframe srcdoc='<script>parent.hit()</script>'></iframe>NN",
    "<body onload=hit()>NN",
    "<style>*{display:none}</style>NN",
    "<link rel=stylesheet href=//evil.example/x.css>NN",
    "<meta http-equiv=refresh content='0;url=//evil.example'>NN",
    "<base href=//evil.example/>NN",
    "<form action=//evil.example><button>NN</button></form>",
    "<input autofocus onfocus=hit()>NN",
    "<details open ontoggle=hit()>NN",
    "<math><mtext><script>hit()</script></mtext></math>NN",
    "<template><script>hit()</script></template>NN",
    "<object data='data:text/html,<script>hit()</script>'>NN",
    "<!--<script>hit()</script>-->NN",
    "]]><script>hit()</script>NN",
    "&lt;script&gt;hit()&lt;/script&gt;NN",
    "&#60;script&#62;hit()NN",
    "\\u003cscript\\u003ehit()NN",
    "%3Cscript%3Ehit()%3C/script%3ENN",
    "{{constructor.constructor('hit()')()}}NN",
    "${hit()}NN",
    "`;hit();//NN",
    "';hit();//NN",
    "\u{1b}[2J\u{1b}[31mred\u{1b}]0;title\u{7}NN",
    "\r\nx-evil: 1\r\n\r\n<script>hit()</script>NN",
    "\ndata: {\"jobs\":[]}\n\nevent: cluster\nNN",
    "\u{202e}gpj.exe\u{202c}NN",
    "\u{2066}\u{2067}isolated\u{2069}\u{200b}\u{feff}NN",
    "\u{8}\u{8}\u{8}\u{9b}31m\u{85}\u{2028}\u{2029}NN",
    "__proto__ constructor toString NN",
];

const HAS_RUN: &str = "window.wasHit === true";
/// Elements that the pages do not make, and attributes that run.
const FOREIGN: &str = "document.querySelectorAll('main script, main img, main iframe, main object, main embed, main style, \
    main link, main meta, main base, main form[action], main template, main math, main [srcdoc], main svg script').length \
    + [...document.querySelectorAll('*')].filter((node) => [...node.attributes].some((one) => one.name.startsWith('on') \
    || one.name === 'autofocus' || /^\\s*javascript:/i.test(one.value) && one.name === 'href')).length";
/// Characters that are not seen, outside of what is laid out by line breaks.
const UNSEEN: &str = "/[\\u0000-\\u0008\\u000b-\\u001f\\u007f-\\u009f\\u200b-\\u200f\\u2028-\\u202e\\u2066-\\u2069\\ufeff]/\
    .test(document.body.textContent + document.title + [...document.querySelectorAll('main *')].flatMap((node) => \
    [...node.attributes].map((one) => one.value)).join(' '))";

fn number(at: usize) -> String {
    format!("p{at:02}q")
}

fn submit(cluster: &Cluster, at: usize, payload: &str) -> Result<String> {
    let payload = payload.replace("NN", &number(at));
    // A path component has no `/`, and globs mean something else.
    let component: String = payload.chars().filter(|c| !"/\\*?[]{}$\0".contains(*c)).collect();
    let directory = cluster.directory().join(format!("in-{at}")).join(component);
    std::fs::create_dir_all(&directory)?;
    let value = payload.replace('"', "\"\"");
    std::fs::write(directory.join("a.csv"), format!("k,n\n\"{value}\",\"{value}\"\n"))?;
    let in_sql = payload.replace('\'', "''").replace('$', "$$");
    let query = format!("SELECT n, k, '{in_sql}' AS \"{}\" FROM t", in_sql.replace('"', "\"\""));
    let lines = ["format = \"csv\"", "schema = { k = \"string\", n = \"int64\" }"];
    cluster.submit_detached(&JobFile::new(&payload.replace('$', "$$"), &query).input("t", &directory, &lines))
}

fn check(page: &mut Page<'_>, what: &str) -> Result<()> {
    ensure!(page.value_of(HAS_RUN)? == false, "{what}: something ran");
    let foreign = page.value_of(FOREIGN)?;
    ensure!(foreign == 0, "{what}: {foreign} elements or attributes were injected");
    ensure!(page.value_of(UNSEEN)? == false, "{what}: characters that are not seen reached the page");
    let problems = page.problems()?;
    ensure!(problems.is_empty(), "{what}: {problems:?}");
    Ok(())
}

#[test]
fn hostile_text_stays_text_on_every_page() -> Result<()> {
    Cluster::run(ClusterOptions { workers: 1, ..ClusterOptions::default() }, |cluster| {
        let mut jobs = Vec::new();
        for (at, payload) in PAYLOADS.iter().enumerate() {
            jobs.push(submit(cluster, at, payload)?);
        }
        for job in &jobs {
            cluster.wait_for_end(job, 120)?;
        }
        let mut browser = Browser::start()?;
        let mut page = browser.open(&format!("http://{}/", cluster.http()), 1280)?;
        page.value_of("window.wasHit = false; window.hit = () => { window.wasHit = true; }; 0")?;
        let rows = "document.querySelectorAll('#finished tbody tr').length === 20";
        page.wait_for(rows, SHOWS_WITHIN)?;
        check(&mut page, "the newest jobs")?;
        page.click("#finished-next")?;
        page.wait_for(
            &format!("document.querySelector('#finished').innerText.includes({:?})", number(0)),
            SHOWS_WITHIN,
        )?;
        check(&mut page, "older jobs")?;
        for (at, job) in jobs.iter().enumerate() {
            page.go_to(&format!("http://{}/jobs/{job}", cluster.http()))?;
            page.value_of("window.wasHit = false; window.hit = () => { window.wasHit = true; }; 0")?;
            for selector in ["#name", "#failure", "#sql", "#inputs", "#plan", "#log"] {
                let shown = format!("document.querySelector('{selector}').textContent.includes({:?})", number(at));
                page.wait_for(&shown, SHOWS_WITHIN)?;
            }
            page.wait_for("document.querySelectorAll('#attempts tbody tr').length > 0", SHOWS_WITHIN)?;
            ensure!(page.value_of("document.querySelector('#name').childElementCount")? == 0, "payload {at}");
            check(&mut page, &format!("payload {at}"))?;
        }
        page.go_to(&format!("http://{}/workers/{}", cluster.http(), cluster.worker(0).id))?;
        page.wait_for("document.querySelectorAll('#attempts tbody a').length > 0", SHOWS_WITHIN)?;
        // Its log shows what came last: marks that turn the direction of text.
        let last = submit(cluster, PAYLOADS.len(), PAYLOADS[36])?;
        cluster.wait_for_end(&last, 60)?;
        let shown = format!("document.querySelector('#log').textContent.includes({:?})", number(PAYLOADS.len()));
        page.wait_for(&shown, SHOWS_WITHIN)?;
        check(&mut page, "the worker")
    })
}
