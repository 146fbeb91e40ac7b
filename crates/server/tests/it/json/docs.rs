//! What the API says about itself.

use super::get;
use crate::Hand;

#[tokio::test]
async fn the_api_is_described_for_programs_and_for_people() {
    let hand = Hand::start().await;
    let document = get(&hand.app, "/openapi.json").await;
    assert_eq!((document.status, document.header("content-type")), (200, "application/json"));
    assert_eq!(document.json()["openapi"], "3.1.0");
    let page = get(&hand.app, "/docs").await;
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    assert!(
        page.header("content-security-policy").starts_with("default-src 'none'; style-src 'self'")
    );
    assert!(page.text.contains("<h3>CreateRun</h3>"));
    let style = get(&hand.app, "/docs/style.css").await;
    assert_eq!((style.status, style.header("content-type")), (200, "text/css; charset=utf-8"));
}
